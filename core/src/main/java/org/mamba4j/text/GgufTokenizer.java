package org.mamba4j.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.OptionalInt;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.checkpoint.GgufValue;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * Tokenizers in GGUF files: the keys {@code tokenizer.ggml.*}, which llama.cpp reads, and {@code
 * tokenizer.huggingface.json}, a whole tokenizer.json, which it does not, but which says more: normalization, and what
 * added tokens do with the white space around them.
 *
 * <p>What is read becomes a tokenizer.json first, so that there is one definition of what a tokenizer is. The
 * pre-tokenizer has a name there instead of an expression; a file without one is from a time when there was one only,
 * GPT-2's. Tokens over bytes are byte-level BPE without merges.
 */
public final class GgufTokenizer {
    static final String MODEL = "tokenizer.ggml.model";
    static final String PRE = "tokenizer.ggml.pre";
    static final String TOKENS = "tokenizer.ggml.tokens";
    static final String TYPES = "tokenizer.ggml.token_type";
    static final String MERGES = "tokenizer.ggml.merges";
    static final String HUGGING_FACE = "tokenizer.huggingface.json";
    private static final String BPE = "gpt2";

    private static final int NORMAL = 1;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int UNUSED = 5;

    /**
     * How text is cut into words, by llama.cpp's names; the first of those that mean the same is the one that is written.
     *
     * @param whole whether a word that is a token is taken before any merge
     */
    private record Words(WordSplitter splitter, boolean whole, JsonObject json, List<String> names) {}

    private static final List<Words> WORDS = List.of(
            new Words(
                    new Gpt2Words(),
                    false,
                    TokenizerJson.byteLevel(true),
                    List.of("gpt-2", "mpt", "olmo", "phi-2", "jais", "roberta-bpe")),
            new Words(
                    new Gpt4Words(3),
                    true,
                    TokenizerJson.split(TokenizerJson.WORDS_GPT4.formatted("{1,3}")),
                    List.of("llama-bpe", "llama3", "llama-v3", "falcon3")),
            new Words(
                    new Gpt4Words(3),
                    false,
                    TokenizerJson.split(TokenizerJson.WORDS_GPT4.formatted("{1,3}")),
                    List.of("dbrx", "smaug-bpe")),
            new Words(
                    new Gpt4Words(1),
                    false,
                    TokenizerJson.split(TokenizerJson.WORDS_GPT4.formatted("")),
                    List.of("qwen2", "stablelm2", "deepseek-r1-qwen")));

    private GgufTokenizer() {}

    /**
     * The tokenizer of a file.
     *
     * @throws UserError if it has none, a damaged one, or one that is not supported
     */
    static Tokenizer read(GgufFile file) {
        if (file.has(HUGGING_FACE)) {
            return TokenizerJson.read(
                    file.text(HUGGING_FACE).getBytes(StandardCharsets.UTF_8), file.path() + ", " + HUGGING_FACE);
        }
        String model = file.text(MODEL);
        if (!model.equals(BPE)) {
            throw new UserError(file.path() + ": \"" + MODEL + "\" is " + JsonText.quoted(model)
                    + ", but only byte-level BPE, \"" + BPE
                    + "\", is supported: use a model with such a tokenizer, as Mambas have");
        }
        String[] tokens = new String[file.length(TOKENS)];
        file.texts(TOKENS, (token, i) -> tokens[i] = token);
        int[] types = types(file, tokens.length);
        int merges = file.length(MERGES);
        if (merges == 0 && isBytes(tokens, types)) {
            return Tokenizers.bytes();
        }
        String[] pairs = new String[merges];
        file.texts(MERGES, (pair, i) -> pairs[i] = pair);
        return TokenizerJson.read(
                json(file, words(file), tokens, types, pairs).getBytes(StandardCharsets.UTF_8),
                file.path() + ", tokenizer.ggml");
    }

    private static int[] types(GgufFile file, int count) {
        if (!file.has(TYPES)) {
            int[] types = new int[count];
            Arrays.fill(types, NORMAL);
            return types;
        }
        int[] types = file.integers(TYPES);
        if (types.length != count) {
            throw new UserError(file.path() + ": \"" + TOKENS + "\" has " + count + " elements, but \"" + TYPES
                    + "\" has " + types.length + ": the file is damaged, convert the model again");
        }
        return types;
    }

    /** Whether token b is the byte b, and all behind those 256 are padding. */
    private static boolean isBytes(String[] tokens, int[] types) {
        for (int i = 0; i < tokens.length; i++) {
            boolean asExpected = i < 256
                    ? types[i] == NORMAL && tokens[i].equals(String.valueOf(ByteAlphabet.character(i)))
                    : types[i] == UNUSED;
            if (!asExpected) {
                return false;
            }
        }
        return tokens.length >= 256;
    }

    private static Words words(GgufFile file) {
        if (!file.has(PRE)) {
            return WORDS.getFirst();
        }
        String name = file.text(PRE);
        return WORDS.stream()
                .filter(words -> words.names().contains(name))
                .findFirst()
                .orElseThrow(() -> new UserError(file.path() + ": \"" + PRE + "\" is " + JsonText.quoted(name)
                        + ", a way to cut text into words that is not supported; those of "
                        + String.join(
                                ", ",
                                WORDS.stream().flatMap(w -> w.names().stream()).toList())
                        + " are: convert the model with its tokenizer.json"));
    }

    private static String json(GgufFile file, Words words, String[] tokens, int[] types, String[] merges) {
        SequencedMap<String, JsonValue> vocabulary = new LinkedHashMap<>();
        List<JsonValue> added = new ArrayList<>();
        for (int id = 0; id < tokens.length; id++) {
            if (types[id] == UNUSED) {
                continue;
            }
            if (vocabulary.putIfAbsent(tokens[id], JsonNumber.of(id)) != null) {
                throw new UserError(file.path() + ": \"" + TOKENS + "\" has " + JsonText.quoted(tokens[id])
                        + " twice: the file is damaged, convert the model again");
            }
            if (types[id] != NORMAL) {
                added.add(JsonObject.builder()
                        .put("id", id)
                        .put("content", tokens[id])
                        .put("normalized", false)
                        .put("special", types[id] != USER_DEFINED)
                        .build());
            }
        }
        List<JsonValue> pairs = Arrays.stream(merges)
                .map(JsonString::new)
                .map(JsonValue.class::cast)
                .toList();
        return JsonText.compact(JsonObject.builder()
                .put("version", "1.0")
                .put("added_tokens", new JsonArray(added))
                .put("normalizer", JsonNull.NULL)
                .put("pre_tokenizer", words.json())
                .put("decoder", TokenizerJson.byteLevel(true))
                .put(
                        "model",
                        JsonObject.builder()
                                .put("type", "BPE")
                                .put("ignore_merges", words.whole())
                                .put("vocab", new JsonObject(vocabulary))
                                .put("merges", new JsonArray(pairs))
                                .build())
                .build());
    }

    /**
     * The keys that let llama.cpp and this project read {@code tokenizer} from a file.
     *
     * @param rows of the embedding: so many tokens must be listed; those that the tokenizer does not have are marked as
     *     unused
     * @throws UserError if llama.cpp has no way to do what it does, or there are fewer rows than tokens
     */
    public static SequencedMap<String, GgufValue> keys(Tokenizer tokenizer, int rows) {
        if (tokenizer.vocabSize() > rows) {
            throw new UserError("the tokenizer has " + tokenizer.vocabSize()
                    + " tokens, but the model's embedding only " + rows + " rows: they do not belong together");
        }
        String[] tokens = new String[rows];
        int[] types = new int[rows];
        for (int id = 0; id < rows; id++) {
            tokens[id] = "[PAD" + id + "]";
            types[id] = UNUSED;
        }
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>();
        keys.put(MODEL, GgufValue.of(BPE));
        List<String> merges = new ArrayList<>();
        if (tokenizer instanceof BpeTokenizer bpe) {
            keys.put(PRE, GgufValue.of(name(bpe)));
            vocabulary(bpe, tokens, types, merges);
            keys.put(HUGGING_FACE, GgufValue.of(new String(bpe.json(), StandardCharsets.UTF_8)));
        } else if (tokenizer.equals(Tokenizers.bytes())) {
            keys.put(PRE, GgufValue.of(WORDS.getFirst().names().getFirst()));
            for (int b = 0; b < 256; b++) {
                tokens[b] = String.valueOf(ByteAlphabet.character(b));
                types[b] = NORMAL;
            }
        } else {
            throw new UserError("GGUF has no keys for a tokenizer of the kind "
                    + tokenizer.getClass().getSimpleName());
        }
        keys.put(TOKENS, GgufValue.ofTexts(Arrays.asList(tokens)));
        keys.put(TYPES, GgufValue.ofInts(types));
        keys.put(MERGES, GgufValue.ofTexts(merges));
        keys.put("tokenizer.ggml.add_bos_token", GgufValue.of(false));
        keys.put("tokenizer.ggml.add_eos_token", GgufValue.of(false));
        return keys;
    }

    /**
     * A token that no text has, if there is one: behind the tokenizer's or, of bytes, one that is no UTF-8.
     *
     * @param rows of the embedding
     */
    public static OptionalInt unusedToken(Tokenizer tokenizer, int rows) {
        if (rows > tokenizer.vocabSize()) {
            return OptionalInt.of(rows - 1);
        }
        return tokenizer.equals(Tokenizers.bytes()) ? OptionalInt.of(rows - 1) : OptionalInt.empty();
    }

    /**
     * What llama.cpp does otherwise with some texts: it does not normalise, and it looks for added tokens without regard
     * to what stands around them. A line for each; empty if there is nothing.
     */
    public static List<String> differences(Tokenizer tokenizer) {
        List<String> notes = new ArrayList<>();
        if (tokenizer instanceof BpeTokenizer bpe) {
            if (!bpe.steps().normalization().forms().isEmpty()) {
                notes.add("llama.cpp does not normalise text ("
                        + bpe.steps().normalization().forms().getFirst()
                        + "), so characters composed of several code points get other tokens there");
            }
            boolean strips = bpe.addedTokens().stream().anyMatch(t -> t.lstrip() || t.rstrip() || t.singleWord());
            if (strips) {
                notes.add("llama.cpp finds added tokens without regard to white space or words around them");
            }
        }
        return notes;
    }

    private static String name(BpeTokenizer tokenizer) {
        BpeTokenizer.Words cut = tokenizer.steps().words();
        boolean whole = tokenizer.takesWholeWords();
        if (cut.addPrefixSpace()) {
            throw new UserError(
                    "the tokenizer puts a space before every text (add_prefix_space), which llama.cpp does not"
                            + " do with byte-level BPE: set it to false in tokenizer.json if texts are to be given with it");
        }
        return WORDS.stream()
                .filter(words -> words.whole() == whole
                        && words.splitter().getClass().equals(cut.splitter().getClass()))
                .filter(words -> !(cut.splitter() instanceof Gpt4Words)
                        || words.splitter().equals(cut.splitter()))
                .findFirst()
                .map(words -> words.names().getFirst())
                .orElseThrow(
                        () -> new UserError("llama.cpp has no name for the way in which the tokenizer cuts text into"
                                + " words, so the model cannot be written for it with its tokenizer"));
    }

    private static void vocabulary(BpeTokenizer tokenizer, String[] tokens, int[] types, List<String> merges) {
        JsonFields json = JsonFields.of(Json.parse(tokenizer.json(), Tokenizers.FILE), Tokenizers.FILE);
        JsonFields model = json.object("model");
        JsonFields vocabulary = model.object("vocab");
        for (String token : vocabulary.keys()) {
            int id = (int) vocabulary.integer(token, 0, tokens.length - 1);
            tokens[id] = token;
            types[id] = NORMAL;
        }
        for (JsonValue merge : model.array("merges")) {
            merges.add(
                    merge instanceof JsonArray pair
                            ? text(pair.values().getFirst()) + " "
                                    + text(pair.values().getLast())
                            : text(merge));
        }
        for (JsonValue value : json.optional("added_tokens", json::array, List.<JsonValue>of())) {
            JsonFields token = JsonFields.of(value, Tokenizers.FILE);
            int id = (int) token.integer("id", 0, tokens.length - 1);
            tokens[id] = token.string("content");
            types[id] = token.optional("special", token::bool, false) ? CONTROL : USER_DEFINED;
        }
    }

    private static String text(JsonValue value) {
        return ((JsonString) value).value();
    }
}
