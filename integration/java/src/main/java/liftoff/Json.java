package liftoff;

import java.util.Collection;
import java.util.Map;

/** Writes one JSON object a line, so that the readers in Go need no more than a line scanner. */
final class Json {
    private Json() {
    }

    static String of(Map<String, ?> object) {
        StringBuilder out = new StringBuilder(256);
        value(out, object);
        return out.toString();
    }

    private static void value(StringBuilder out, Object v) {
        if (v == null || v instanceof Number || v instanceof Boolean) {
            out.append(v);
        } else if (v instanceof Map<?, ?> map) {
            String sep = "{";
            for (Map.Entry<?, ?> e : map.entrySet()) {
                out.append(sep);
                text(out, String.valueOf(e.getKey()));
                out.append(':');
                value(out, e.getValue());
                sep = ",";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (v instanceof Collection<?> items) {
            String sep = "[";
            for (Object item : items) {
                out.append(sep);
                value(out, item);
                sep = ",";
            }
            out.append(items.isEmpty() ? "[]" : "]");
        } else {
            text(out, String.valueOf(v));
        }
    }

    private static void text(StringBuilder out, String s) {
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }
}
