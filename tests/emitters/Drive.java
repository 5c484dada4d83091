import java.io.*;
import java.util.*;
import java.util.regex.*;

/** Does what standard input says with the emitter, and answers a line per step. */
public final class Drive {
    public static void main(String[] none) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        Map<String, String> set = new HashMap<>();
        object(in.readLine()).forEach((name, value) -> set.put(name, value.toString()));
        DeliveryMonitor monitor = new DeliveryMonitor(set);
        for (String line; (line = in.readLine()) != null; ) {
            List<Object> words = words(line);
            boolean done = words.get(0).equals("flush") ? monitor.flush()
                : monitor.emit((String) words.get(1), (String) words.get(2), object(line.substring(line.indexOf('{'))));
            System.out.println(done);
        }
    }

    /** The names and values of a flat object; what stands deeper is taken as one more text. */
    private static Map<String, Object> object(String json) {
        Map<String, Object> found = new HashMap<>();
        List<Object> words = words(json);
        for (int at = 0; at + 1 < words.size(); at += 2) found.put(words.get(at).toString(), words.get(at + 1));
        return found;
    }

    private static List<Object> words(String json) {
        List<Object> found = new ArrayList<>();
        Matcher word = Pattern.compile("\"((?:[^\"\\\\]++|\\\\.)*+)\"|-?\\d+|null").matcher(json);
        while (word.find()) found.add(word.group().equals("null") ? null : word.group(1) == null ? (Object) Long.valueOf(word.group()) : plain(word.group(1)));
        return found;
    }

    private static String plain(String text) {
        return Pattern.compile("\\\\(?:u([0-9a-f]{4})|(.))").matcher(text).replaceAll(one -> Matcher.quoteReplacement(
            one.group(1) == null ? one.group(2) : String.valueOf((char) Integer.parseInt(one.group(1), 16))));
    }
}
