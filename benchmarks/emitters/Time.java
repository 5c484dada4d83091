import java.util.*;

/** How long each emit holds its thread, in ms: url, spool, retry_ms (or nothing), how many. */
public final class Time {
    public static void main(String[] given) throws Exception {
        Map<String, String> set = new HashMap<>(Map.of("url", given[0], "spool", given[1]));
        if (!given[2].isEmpty()) set.put("retry_ms", given[2]);
        DeliveryMonitor monitor = new DeliveryMonitor(set);
        StringJoiner took = new StringJoiner(",", "[", "]");
        for (int number = 0; number < Integer.parseInt(given[3]); number++) {
            long began = System.nanoTime();
            monitor.emit("order.paid", "java " + number, Map.of("channel", "auto", "amount_minor", 990));
            took.add(String.valueOf((System.nanoTime() - began) / 1e6));
            Thread.sleep(2);
        }
        System.out.println(took);
    }
}
