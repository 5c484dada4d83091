import java.io.*;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.attribute.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import static java.nio.charset.StandardCharsets.*;
import static java.nio.file.StandardOpenOption.*;
/**
 * Tells Delivery Monitor what happens to orders. One file, Java 11 or newer, nothing to install.
 *     var monitor = new DeliveryMonitor(Map.of("url", "http://127.0.0.1:8080", "key", "dm_…", "spool", "/var/spool/shop/events.ndjson"));
 *     monitor.emit("order.paid", orderId, Map.of("channel", "auto", "sku", "steam-50", "amount_minor", 5000));
 * emit() appends a line to the spool; another thread sends it, and tries again after retry_ms. Nothing throws; the shop waits for
 * its own disk only, and at its exit for timeout_ms. What is left waits for the next process, or a flush() from a timer. Without
 * a url the spool is only written: the monitor can read it (sources[].tail). One object a process.
 */
public final class DeliveryMonitor {
    private static final List<String> FIELDS = List.of(("id source time traceparent channel sku quantity amount_minor currency provider "
        + "payment_id customer_tier customer_hash speed fulfilment region attempt reason promise_s meaning outcome takeover_id").split(" "));
    private static final int LINE_MAX = 16384, BATCH_LINES = 500, BATCH_BYTES = 262144; // an event; a request
    private static final FileAttribute<?>[] OWNER = File.separatorChar != '/' ? new FileAttribute<?>[0]
        : new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))};
    private final Map<String, String> set = new HashMap<>(Map.of("url", "", "key", "", "secret", "", "source", "", "timeout_ms", "180",
        "retry_ms", "10000", "spool_max", "67108864"));
    private final Semaphore sender = new Semaphore(1);
    public DeliveryMonitor(Map<String, String> settings) {
        set.putAll(settings);
        if (!set.get("url").isEmpty()) Runtime.getRuntime().addShutdownHook(new Thread(this::flush));
    }
    /** Notes an event; true if it is in the spool. Only known fields are kept: card text never leaves the shop. */
    public boolean emit(String type, String order, Map<String, ?> fields) {
        try {
            String now = java.time.Instant.ofEpochMilli(System.currentTimeMillis()).toString();
            Map<String, Object> event = new TreeMap<>(Map.of("type", type, "order_id", order, "id", UUID.randomUUID(), "time", now));
            if (!set.get("source").isEmpty()) event.put("source", set.get("source"));
            for (String name : FIELDS) if (fields.get(name) != null) event.put(name, fields.get(name));
            StringJoiner json = new StringJoiner(",", "{", "}");
            event.forEach((name, value) -> json.add(quoted(name) + ":" + (value instanceof Number ? value : quoted(value.toString()))));
            byte[] line = json.toString().getBytes(UTF_8);
            boolean isKept = !order.isBlank() && line.length <= LINE_MAX && append(set.get("spool"), line);
            if (!set.get("url").isEmpty() && sender.tryAcquire()) ForkJoinPool.commonPool().execute(this::send);
            return isKept;
        } catch (Exception error) { return false; } // a shop must not stop because its monitor does
    }
    /** Sends what is in the spool, until something takes longer than timeout_ms; true if nothing is left. */
    public boolean flush() {
        synchronized (sender) { // locks of files are those of the whole process
            try (FileChannel place = FileChannel.open(new File(set.get("spool") + ".at").toPath(), CREATE, READ, WRITE);
                    FileChannel spool = FileChannel.open(new File(set.get("spool")).toPath(), READ, WRITE)) {
                if (set.get("url").isEmpty() || !isLocked(place, number("timeout_ms"))) return false; // another process is sending
                ByteBuffer noted = ByteBuffer.allocate(64); // sent up to here; not again before
                String[] words = place.read(noted, 0) > 0 ? new String(noted.array(), UTF_8).trim().split(" ") : new String[] {"0", "0"};
                return System.currentTimeMillis() >= Long.parseLong(words[1]) && drain(spool, place, Long.parseLong(words[0]));
            } catch (Exception error) { return false; }
        }
    }
    private void send() {
        sender.release();
        if (!flush() && sender.tryAcquire()) CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS).execute(this::send);
    }
    private boolean drain(FileChannel spool, FileChannel place, long at) throws Exception {
        while (true) {
            if (at > spool.size()) at = 0;
            byte[] read = new byte[(int) Math.min(BATCH_BYTES, spool.size() - at)];
            int end = 0, size = spool.read(ByteBuffer.wrap(read), at);
            List<String> lines = new ArrayList<>(); // bytes as characters: a line is sent as it was written
            for (int next = 0; next < size && lines.size() < BATCH_LINES; next++) {
                if (read[next] != '\n') continue; // what follows the last break is not whole
                lines.add(new String(read, end, next - end, ISO_8859_1));
                end = next + 1;
            }
            if (end == 0) synchronized (this) {
                boolean isEmptied = isLocked(spool, 50) && spool.size() == at && note(place, 0, 0) && spool.truncate(0) != null;
                spool.close(); // the lock goes with it, before this process appends again
                return isEmptied; // killed between the two, all of it is sent again, under the same ids
            }
            lines.removeIf(String::isBlank);
            note(place, at, System.currentTimeMillis() + number("retry_ms")); // unless it is taken, or we do not come back
            if (!lines.isEmpty() && !isTaken(lines)) return false;
            note(place, at += end, 0);
        }
    }
    /** Adds a line to a file. One that ends within a line was left so by a kill: that line is closed first. */
    private synchronized boolean append(String name, byte[] line) throws Exception {
        try (FileChannel file = FileChannel.open(new File(name).toPath(), Set.of(CREATE, READ, WRITE), OWNER)) {
            if (!isLocked(file, 200) || file.size() >= number("spool_max")) return false;
            ByteBuffer last = ByteBuffer.wrap(new byte[] {'\n'});
            if (file.size() > 0) file.read(last, file.size() - 1);
            String text = (last.get(0) == '\n' ? "" : "\n") + new String(line, ISO_8859_1) + "\n"; // bytes as characters
            return file.write(ByteBuffer.wrap(text.getBytes(ISO_8859_1)), file.size()) == text.length();
        }
    }
    /** Whether the monitor has the lines, or refuses them for what they are: then they are in SPOOL.rejected. */
    private boolean isTaken(List<String> lines) throws Exception {
        String said = post((String.join("\n", lines) + "\n").getBytes(ISO_8859_1)).replaceFirst("(?s)^.*?\r\n\r\n", "").trim();
        boolean isRefused = said.startsWith("{\"type\":\"urn:delivery-monitor:") && said.contains("\"status\":400");
        if (!isRefused && !said.startsWith("{\"accepted\":")) return false; // overload, a wrong key, or not the monitor at all: later
        Matcher bad = Pattern.compile("\\{\"index\":(\\d+)").matcher(said);
        for (int index = 0; isRefused ? index < lines.size() : bad.find(); index++)
            append(set.get("spool") + ".rejected", lines.get(isRefused ? index : Integer.parseInt(bad.group(1))).getBytes(ISO_8859_1));
        return true;
    }
    /** The answer to a request, or what came of it until the deadline. */
    private String post(byte[] body) throws Exception {
        URI to = URI.create(set.get("url"));
        int port = to.getPort() > 0 ? to.getPort() : to.getScheme().equals("https") ? 443 : 80, wait = (int) number("timeout_ms");
        long deadline = System.nanoTime() + wait * 1_000_000L;
        String path = to.getRawPath().replaceAll("/$", "") + "/v1/events" + (to.getRawQuery() == null ? "" : "?" + to.getRawQuery());
        String head = "POST " + path + " HTTP/1.0\r\nHost: " + to.getHost() + ":" + port + "\r\nContent-Type: application/x-ndjson\r\n";
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(to.getHost(), port), wait);
            socket.setSoTimeout(wait);
            Socket stream = !to.getScheme().equals("https") ? socket
                : ((javax.net.ssl.SSLSocketFactory) javax.net.ssl.SSLSocketFactory.getDefault()).createSocket(socket, to.getHost(), port, true);
            stream.getOutputStream().write((head + "Content-Length: " + body.length + "\r\n" + proof(body) + "\r\n").getBytes(UTF_8));
            stream.getOutputStream().write(body);
            byte[] part = new byte[65536];
            for (int got; System.nanoTime() < deadline && (got = stream.getInputStream().read(part)) >= 0; ) answer.write(part, 0, got);
        }
        return answer.toString(UTF_8);
    }
    private String proof(byte[] body) throws Exception { // a key, or a signature as Standard Webhooks ask for
        String key = set.get("key"), secret = set.get("secret");
        if (secret.isEmpty()) return key.isEmpty() ? "" : "Authorization: Bearer " + key + "\r\n";
        Mac mac = Mac.getInstance("HmacSHA256");
        boolean isBase64 = secret.startsWith("whsec_");
        mac.init(new SecretKeySpec(isBase64 ? Base64.getDecoder().decode(secret.substring(6)) : secret.getBytes(UTF_8), "HmacSHA256"));
        String id = "msg_" + UUID.nameUUIDFromBytes(body), at = String.valueOf(System.currentTimeMillis() / 1000);
        mac.update((id + "." + at + ".").getBytes(UTF_8));
        return "webhook-id: " + id + "\r\nwebhook-timestamp: " + at + "\r\nwebhook-signature: v1,"
            + Base64.getEncoder().encodeToString(mac.doFinal(body)) + "\r\n";
    }
    private long number(String name) { return Long.parseLong(set.get(name)); }
    private static boolean note(FileChannel place, long at, long notBefore) throws IOException {
        return place.write(ByteBuffer.wrap(String.format("%015d %015d", at, notBefore).getBytes(UTF_8)), 0) > 0;
    }
    private static boolean isLocked(FileChannel file, long waitMs) throws Exception {
        for (long tries = 0; file.tryLock() == null; tries++, Thread.sleep(1)) if (tries > waitMs) return false;
        return true;
    }
    private static String quoted(String text) {
        return '"' + Pattern.compile("[\"\\\\\\x00-\\x1f]").matcher(text).replaceAll(one -> Matcher.quoteReplacement(String.format("\\u%04x", (int) one.group().charAt(0)))) + '"';
    }
}
