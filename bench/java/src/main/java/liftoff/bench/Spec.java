package liftoff.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** What the contender has to do: the key=value arguments of the Go package load. */
final class Spec {
    private final Map<String, String> args = new HashMap<>();

    Spec(String[] argv) {
        for (String a : argv) {
            int at = a.indexOf('=');
            if (at < 0) {
                throw new IllegalArgumentException("argument " + a + " is not key=value");
            }
            args.put(a.substring(0, at), a.substring(at + 1));
        }
    }

    String text(String key) {
        return args.getOrDefault(key, "");
    }

    int number(String key) {
        return Integer.parseInt(args.getOrDefault(key, "0"));
    }

    int messages() {
        return Math.max(number("batch"), 1);
    }

    byte[] body() throws Exception {
        if (!text("bodyfile").isEmpty()) {
            return Files.readAllBytes(Path.of(text("bodyfile")));
        }
        byte[] body = new byte[number("size")];
        Arrays.fill(body, (byte) 'x');
        return body;
    }
}
