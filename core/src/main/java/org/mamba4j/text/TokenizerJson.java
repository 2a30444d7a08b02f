package org.mamba4j.text;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonBoolean;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonReader;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * Reads tokenizer.json, the file of the Hugging Face tokenizers library. What {@link BpeTokenizer} does not do and
 * would change ids is an error that names it.
 */
final class TokenizerJson {
    private static final String WORDS_GPT2 =
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    static final String WORDS_GPT4 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}%s|"
            + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    /** Regular expressions of Split that have a scanner. */
    private static final Map<String, WordSplitter> SPLITTERS = Map.of(
            WORDS_GPT2,
            new Gpt2Words(),
            WORDS_GPT4.formatted("{1,3}"),
            new Gpt4Words(3),
            WORDS_GPT4.formatted(""),
            new Gpt4Words(1));

    /** Parts of the model that change nothing when every byte has a token. */
    private static final List<String> WITHOUT_EFFECT = List.of("type", "unk_token", "fuse_unk", "byte_fallback");

    private final byte[] json;
    private final String source;
    private final Map<String, JsonValue> parts = new LinkedHashMap<>();
    private final Map<String, JsonValue> model = new LinkedHashMap<>();
    private final BpeVocabulary vocabulary;

    private TokenizerJson(byte[] json, String source) {
        this.json = json;
        this.source = source;
        this.vocabulary = new BpeVocabulary(source, json.length);
    }

    /**
     * @param json the file's content
     * @param source its name, for messages
     * @throws UserError if it is damaged, or not byte-level BPE as supported
     */
    static BpeTokenizer read(byte[] json, String source) {
        return new TokenizerJson(json, source).read();
    }

    /** The pre-tokenizer of GPT-2, and the decoder of every tokenizer over bytes. */
    static JsonObject byteLevel(boolean regex) {
        return JsonObject.builder()
                .put("type", "ByteLevel")
                .put("add_prefix_space", false)
                .put("trim_offsets", true)
                .put("use_regex", regex)
                .build();
    }

    /** The pre-tokenizer that cuts by an expression. */
    static JsonObject split(String regex) {
        JsonObject split = JsonObject.builder()
                .put("type", "Split")
                .put("pattern", JsonObject.builder().put("Regex", regex).build())
                .put("behavior", "Isolated")
                .put("invert", false)
                .build();
        return JsonObject.builder()
                .put("type", "Sequence")
                .put("pretokenizers", new JsonArray(List.of(split, byteLevel(false))))
                .build();
    }

    private BpeTokenizer read() {
        JsonReader reader = new JsonReader(json, source);
        reader.readObject(key -> {
            if (key.equals("model")) {
                readModel(reader);
            } else {
                parts.put(key, reader.readValue());
            }
        });
        reader.end();
        checkModel();
        checkDecoder(part("decoder"));
        int[] byteIds = vocabulary.byteIds();
        BpeTokenizer.Words words = words();
        Normalization normalization = new Normalization(forms(part("normalizer")));
        Map<AddedTokens.Token, Boolean> added = addedTokens();
        List<AddedTokens.Token> raw = new ArrayList<>();
        List<AddedTokens.Token> normalized = new ArrayList<>();
        added.forEach((token, isNormalized) -> {
            if (isNormalized) {
                normalized.add(normalized(token, normalization));
            } else {
                raw.add(token);
            }
        });
        return new BpeTokenizer(
                json,
                new BpeTokenizer.Steps(new AddedTokens(raw), normalization, new AddedTokens(normalized), words),
                new BpeTokenizer.Model(byteIds, vocabulary.mergeTable(), wholeWords(), tokenBytes(added.keySet())));
    }

    private void readModel(JsonReader reader) {
        reader.readObject(key -> {
            switch (key) {
                case "vocab" -> vocabulary.readVocab(reader);
                case "merges" -> vocabulary.readMerges(reader);
                default -> model.put(key, reader.readValue());
            }
        });
    }

    private JsonValue part(String key) {
        return parts.getOrDefault(key, JsonNull.NULL);
    }

    private void checkModel() {
        JsonValue type = model.getOrDefault("type", new JsonString("BPE"));
        if (!type.equals(new JsonString("BPE"))) {
            throw unsupported("model", type, "BPE");
        }
        model.forEach((key, value) -> {
            boolean without = value == JsonNull.NULL || value == JsonBoolean.FALSE || value.equals(new JsonString(""));
            if (!WITHOUT_EFFECT.contains(key) && !key.equals("ignore_merges") && !without) {
                throw unsupported("model." + key, value, "null");
            }
        });
    }

    /** Spellings that are taken whole before any merge, when the model says so. */
    private Map<String, Integer> wholeWords() {
        return model.getOrDefault("ignore_merges", JsonNull.NULL) == JsonBoolean.TRUE
                ? Map.copyOf(vocabulary.ids())
                : Map.of();
    }

    private void checkDecoder(JsonValue decoder) {
        if (decoder != JsonNull.NULL && !type(decoder, "decoder").equals("ByteLevel")) {
            throw unsupported("decoder", new JsonString(type(decoder, "decoder")), "ByteLevel");
        }
    }

    private List<Normalizer.Form> forms(JsonValue normalizer) {
        if (normalizer == JsonNull.NULL) {
            return List.of();
        }
        String type = type(normalizer, "normalizer");
        return switch (type) {
            case "NFC", "NFD", "NFKC", "NFKD" -> List.of(Normalizer.Form.valueOf(type));
            case "Sequence" ->
                fields(normalizer).array("normalizers").stream()
                        .flatMap(n -> forms(n).stream())
                        .toList();
            default -> throw unsupported("normalizer", new JsonString(type), "NFC, NFD, NFKC, NFKD and Sequence");
        };
    }

    private BpeTokenizer.Words words() {
        JsonValue pre = part("pre_tokenizer");
        String type = type(pre, "pre_tokenizer");
        if (type.equals("ByteLevel")) {
            JsonFields fields = fields(pre);
            boolean regex = fields.optional("use_regex", fields::bool, true);
            return new BpeTokenizer.Words(regex ? new Gpt2Words() : WordSplitter.NONE, fields.bool("add_prefix_space"));
        }
        if (type.equals("Sequence")) {
            List<JsonValue> steps = fields(pre).array("pretokenizers");
            List<String> types =
                    steps.stream().map(s -> type(s, "pre_tokenizer")).toList();
            if (types.equals(List.of("Split", "ByteLevel"))) {
                return new BpeTokenizer.Words(split(fields(steps.getFirst()), fields(steps.getLast())), false);
            }
            type = "Sequence of " + String.join(", ", types);
        }
        throw unsupported("pre_tokenizer", new JsonString(type), "ByteLevel, and Sequence of Split and ByteLevel");
    }

    private WordSplitter split(JsonFields split, JsonFields byteLevel) {
        if (byteLevel.bool("add_prefix_space") || byteLevel.optional("use_regex", byteLevel::bool, true)) {
            throw new UserError(source + ": the pre_tokenizer ByteLevel after a Split has add_prefix_space or use_regex"
                    + " on, which is not supported: both must be off");
        }
        String behavior = split.string("behavior");
        boolean invert = split.optional("invert", split::bool, false);
        boolean cuts = (behavior.equals("Isolated") && !invert) || (behavior.equals("Removed") && invert);
        String regex = split.object("pattern").optional("Regex", split.object("pattern")::string, "");
        WordSplitter splitter = SPLITTERS.get(regex);
        if (!cuts || splitter == null) {
            throw new UserError(source + ": the pre_tokenizer Split (" + behavior + ") by the expression "
                    + JsonText.quoted(regex) + " is not supported: those of GPT-2, Llama 3 and Qwen 2 are");
        }
        return splitter;
    }

    /** Added tokens in the order of the file; the value says whether they are looked for in normalized text. */
    private Map<AddedTokens.Token, Boolean> addedTokens() {
        Map<AddedTokens.Token, Boolean> tokens = new LinkedHashMap<>();
        Map<String, Integer> known = new HashMap<>(vocabulary.ids());
        int next = vocabulary.size();
        List<JsonValue> values = part("added_tokens") instanceof JsonArray array ? array.values() : List.of();
        for (JsonValue value : values) {
            JsonFields fields = fields(value);
            String content = fields.string("content");
            int id = (int) fields.integer("id", 0, json.length);
            if (content.isEmpty()) {
                continue;
            }
            // The library numbers tokens itself, whatever the file says.
            int expected = known.getOrDefault(content, next);
            if (id != expected) {
                throw new UserError(source + ": the added token " + JsonText.quoted(content) + " has the id " + id
                        + ", but by its place it has " + expected + ": put the added tokens in order");
            }
            known.put(content, id);
            next = Math.max(next, id + 1);
            boolean special = fields.optional("special", fields::bool, false);
            AddedTokens.Token token = new AddedTokens.Token(
                    id,
                    content,
                    fields.optional("single_word", fields::bool, false),
                    fields.optional("lstrip", fields::bool, false),
                    fields.optional("rstrip", fields::bool, false));
            tokens.putIfAbsent(token, fields.optional("normalized", fields::bool, !special));
        }
        return tokens;
    }

    private static AddedTokens.Token normalized(AddedTokens.Token token, Normalization normalization) {
        byte[] content = token.content().getBytes(StandardCharsets.UTF_8);
        String normal = new String(normalization.normalize(content, 0, content.length), StandardCharsets.UTF_8);
        return new AddedTokens.Token(token.id(), normal, token.singleWord(), token.lstrip(), token.rstrip());
    }

    /** Bytes by id; empty for ids that no token has. */
    private byte[][] tokenBytes(Iterable<AddedTokens.Token> added) {
        int size = 0;
        for (int id : vocabulary.ids().values()) {
            size = Math.max(size, id + 1);
        }
        for (AddedTokens.Token token : added) {
            size = Math.max(size, token.id() + 1);
        }
        byte[][] bytes = new byte[size][];
        Arrays.fill(bytes, new byte[0]);
        vocabulary.ids().forEach((token, id) -> bytes[id] = ByteAlphabet.bytes(token));
        for (AddedTokens.Token token : added) {
            bytes[token.id()] = token.content().getBytes(StandardCharsets.UTF_8);
        }
        return bytes;
    }

    private String type(JsonValue value, String what) {
        if (!(value instanceof JsonObject)) {
            throw unsupported(what, value, "an object with a type");
        }
        return fields(value).string("type");
    }

    private JsonFields fields(JsonValue value) {
        return JsonFields.of(value, source);
    }

    private UserError unsupported(String what, JsonValue found, String supported) {
        return new UserError(source + ": the " + what + " " + JsonText.shown(found) + " is not supported (it is: "
                + supported + "); use a model with a byte-level BPE tokenizer");
    }
}
