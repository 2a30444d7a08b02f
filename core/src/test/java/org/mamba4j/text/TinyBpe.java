package org.mamba4j.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.mamba4j.json.JsonText;

/**
 * A small tokenizer.json for tests, learnt from a few sentences, whose parts can be replaced. Every part is JSON text.
 */
public final class TinyBpe {
    private static final String SAMPLE = """
            The quick brown fox jumps over the lazy dog. It's what they'd call a pangram; we'll see, don't you think?
            In 1999 and 2024 there were 365 days, 12 months and 52 weeks; the year 2000 had 366 of them!
            public static void main(String[] args) {
                System.out.println("hello, world");
                for (int i = 0; i < 10; i++) { sum += i * i; }
            }
            Größe, Übermaß, naïve café, São Paulo, smörgåsbord, œuvre; Ελλάδα, Москва, 東京, 서울, 🎉🎉 … “quoted” – dash
            aaaaaaaaaaaaaaaa bbbbbbbb ababababab the the the the then there these those !!!! ???? ---- ==== ........
            """;

    private final Map<String, String> parts = new LinkedHashMap<>();
    private final Map<String, String> model = new LinkedHashMap<>();
    private final List<String> added = new ArrayList<>();
    private final Map<String, String> replacements = new LinkedHashMap<>();
    private final List<String[]> merges = new ArrayList<>();
    private final Map<String, Integer> vocab;
    private int nextId;

    public TinyBpe() {
        vocab = learn(merges);
        nextId = vocab.size();
        parts.put("version", "\"1.0\"");
        parts.put("truncation", "null");
        parts.put("padding", "null");
        parts.put("normalizer", "null");
        parts.put("pre_tokenizer", byteLevel(false, true));
        parts.put("post_processor", "null");
        parts.put("decoder", byteLevel(false, true));
        model.put("type", "\"BPE\"");
        model.put("dropout", "null");
        model.put("unk_token", "null");
        model.put("continuing_subword_prefix", "null");
        model.put("end_of_word_suffix", "null");
        model.put("fuse_unk", "false");
        model.put(
                "vocab",
                vocab.entrySet().stream()
                        .map(e -> quoted(e.getKey()) + ":" + e.getValue())
                        .collect(Collectors.joining(",", "{", "}")));
        model.put(
                "merges",
                merges.stream().map(m -> quoted(m[0] + " " + m[1])).collect(Collectors.joining(",", "[", "]")));
    }

    static String byteLevel(boolean addPrefixSpace, boolean useRegex) {
        return "{\"type\":\"ByteLevel\",\"add_prefix_space\":" + addPrefixSpace
                + ",\"trim_offsets\":true,\"use_regex\":" + useRegex + "}";
    }

    static String split(String regex) {
        return "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":" + quoted(regex)
                + "},\"behavior\":\"Isolated\",\"invert\":false}," + byteLevel(false, false) + "]}";
    }

    TinyBpe part(String key, String json) {
        parts.put(key, json);
        return this;
    }

    TinyBpe model(String key, String json) {
        model.put(key, json);
        return this;
    }

    /** The merges as pairs in arrays, the newer spelling. */
    TinyBpe mergesAsArrays() {
        return model(
                "merges",
                merges.stream()
                        .map(m -> "[" + quoted(m[0]) + "," + quoted(m[1]) + "]")
                        .collect(Collectors.joining(",", "[", "]")));
    }

    /** @param flags names of switches that are on */
    TinyBpe added(String content, String... flags) {
        List<String> on = List.of(flags);
        int id = vocab.containsKey(content) ? vocab.getOrDefault(content, 0) : nextId++;
        StringBuilder json = new StringBuilder("{\"id\":" + id + ",\"content\":" + quoted(content));
        for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized", "special")) {
            json.append(",\"").append(flag).append("\":").append(on.contains(flag));
        }
        added.add(json.append('}').toString());
        return this;
    }

    /** Replaces text in the finished file. */
    TinyBpe replaced(String old, String replacement) {
        replacements.put(old, replacement);
        return this;
    }

    String json() {
        String json = "{" + fields(parts) + ",\"added_tokens\":[" + String.join(",", added) + "],\"model\":{"
                + fields(model) + "}}";
        for (Map.Entry<String, String> e : replacements.entrySet()) {
            json = json.replace(e.getKey(), e.getValue());
        }
        return json;
    }

    byte[] bytes() {
        return json().getBytes(StandardCharsets.UTF_8);
    }

    public Tokenizer load() {
        return TokenizerJson.read(bytes(), "tiny.json");
    }

    private static String fields(Map<String, String> fields) {
        return fields.entrySet().stream()
                .map(e -> quoted(e.getKey()) + ":" + e.getValue())
                .collect(Collectors.joining(","));
    }

    private static String quoted(String text) {
        return JsonText.compact(new org.mamba4j.json.JsonString(text));
    }

    /** Byte pair encoding in the plainest form: the most frequent pair of the sample, again and again. */
    private static Map<String, Integer> learn(List<String[]> merges) {
        Map<String, Integer> vocab = new LinkedHashMap<>();
        for (int b = 0; b < 256; b++) {
            vocab.put(String.valueOf(ByteAlphabet.character(b)), b);
        }
        List<String> symbols = new ArrayList<>();
        for (byte b : SAMPLE.getBytes(StandardCharsets.UTF_8)) {
            symbols.add(String.valueOf(ByteAlphabet.character(b & 0xFF)));
        }
        for (int step = 0; step < 250; step++) {
            Map<List<String>, Integer> counts = new HashMap<>();
            for (int i = 0; i + 1 < symbols.size(); i++) {
                counts.merge(List.of(symbols.get(i), symbols.get(i + 1)), 1, Integer::sum);
            }
            List<String> best = counts.entrySet().stream()
                    .max(Map.Entry.<List<String>, Integer>comparingByValue()
                            .thenComparing(e -> String.join(" ", e.getKey())))
                    .orElseThrow()
                    .getKey();
            String merged = String.join("", best);
            merges.add(new String[] {best.getFirst(), best.getLast()});
            vocab.putIfAbsent(merged, vocab.size());
            List<String> next = new ArrayList<>();
            for (int i = 0; i < symbols.size(); i++) {
                boolean pair = i + 1 < symbols.size()
                        && symbols.get(i).equals(best.getFirst())
                        && symbols.get(i + 1).equals(best.getLast());
                next.add(pair ? merged : symbols.get(i));
                i += pair ? 1 : 0;
            }
            symbols = next;
        }
        return vocab;
    }
}
