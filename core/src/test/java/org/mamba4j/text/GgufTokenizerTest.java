package org.mamba4j.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.GgufValue;
import org.mamba4j.checkpoint.GgufWriter;

/** A tokenizer gives the same ids whether it is read from tokenizer.json or from the keys of a GGUF file. */
class GgufTokenizerTest {
    private static final int ROWS = 600;

    private static final List<String> TEXTS = List.of(
            "",
            "The quick brown fox jumps over the lazy dog's back, don't you think?",
            "  public static\n\n\tvoid main(String[] args) {  }  ",
            "Größe 1234567 東京 🎉 …—“”",
            "a<|endoftext|>b <extra> c",
            "WE'LL SEE; they'd've 'S 'tis\r\n \r\n x");

    @TempDir
    Path folder;

    private Path write(SequencedMap<String, GgufValue> keys) {
        Path file = folder.resolve("tokenizer.gguf");
        GgufWriter.write(file, keys, List.of());
        return file;
    }

    /** What llama.cpp sees, without the tokenizer.json that it does not look at. */
    private static SequencedMap<String, GgufValue> keysOfLlamaCpp(Tokenizer tokenizer) {
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>(GgufTokenizer.keys(tokenizer, ROWS));
        keys.remove(GgufTokenizer.HUGGING_FACE);
        return keys;
    }

    private static void assertEqual(Tokenizer actual, Tokenizer expected) {
        for (String text : TEXTS) {
            int[] ids = expected.encode(text);
            assertThat(actual.encode(text)).as(text).isEqualTo(ids);
            assertThat(actual.decode(ids)).isEqualTo(expected.decode(ids));
        }
        assertThat(actual.vocabSize()).isEqualTo(expected.vocabSize());
    }

    private static TinyBpe tiny() {
        return new TinyBpe().added("<|endoftext|>", "special").added("<extra>");
    }

    private static String gpt4(String digits) {
        return TinyBpe.split(TokenizerJson.WORDS_GPT4.formatted(digits));
    }

    @Test
    void everyWayToCutWordsGoesBothWays() {
        Map<String, Tokenizer> tokenizers = Map.of(
                "gpt-2",
                tiny().load(),
                "llama-bpe",
                tiny().part("pre_tokenizer", gpt4("{1,3}"))
                        .model("ignore_merges", "true")
                        .load(),
                "dbrx",
                tiny().part("pre_tokenizer", gpt4("{1,3}")).load(),
                "qwen2",
                tiny().mergesAsArrays().part("pre_tokenizer", gpt4("")).load());
        tokenizers.forEach((name, tokenizer) -> {
            SequencedMap<String, GgufValue> keys = keysOfLlamaCpp(tokenizer);
            assertThat(keys.get(GgufTokenizer.PRE)).hasToString(name);
            assertThat(keys.get(GgufTokenizer.TOKENS)).hasToString(ROWS + " × TEXT");
            assertEqual(Tokenizers.load(write(keys)), tokenizer);
            assertThat(GgufTokenizer.differences(tokenizer)).isEmpty();
        });
    }

    /** With tokenizer.json in the file nothing at all is lost, whatever llama.cpp does not know. */
    @Test
    void theWholeTokenizerIsKept() {
        Tokenizer tokenizer = tiny().part("normalizer", "{\"type\":\"NFC\"}")
                .added("<pad>", "lstrip", "special")
                .load();
        Tokenizer read = Tokenizers.load(write(GgufTokenizer.keys(tokenizer, ROWS)));
        assertThat(read.fingerprint()).isEqualTo(tokenizer.fingerprint());
        assertThat(read.encode("e\u0301  <pad>")).isEqualTo(tokenizer.encode("e\u0301  <pad>"));
        assertThat(GgufTokenizer.differences(tokenizer))
                .satisfiesExactly(
                        one -> assertThat(one).contains("does not normalise text (NFC)"),
                        two -> assertThat(two).contains("without regard to white space"));
    }

    /** What was read from a GGUF file can be saved into a folder. */
    @Test
    void whatWasReadCanBeSaved() {
        Tokenizer tokenizer = tiny().load();
        Tokenizers.load(write(keysOfLlamaCpp(tokenizer))).save(folder);
        assertThat(Files.exists(folder.resolve(Tokenizers.FILE))).isTrue();
        assertEqual(Tokenizers.load(folder), tokenizer);
    }

    @Test
    void bytesAreBytes() {
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>(GgufTokenizer.keys(Tokenizers.bytes(), 256));
        assertThat(Tokenizers.load(write(keys))).isEqualTo(Tokenizers.bytes());
        assertThat(Tokenizers.load(write(new LinkedHashMap<>(GgufTokenizer.keys(Tokenizers.bytes(), 264)))))
                .isEqualTo(Tokenizers.bytes());
        assertThat(GgufTokenizer.unusedToken(Tokenizers.bytes(), 256)).hasValue(255);
        assertThat(GgufTokenizer.unusedToken(tiny().load(), ROWS)).hasValue(ROWS - 1);
        assertThat(GgufTokenizer.unusedToken(tiny().load(), tiny().load().vocabSize()))
                .isEmpty();
    }

    @Test
    void filesWithoutANameForTheWordsAreGpt2s() {
        SequencedMap<String, GgufValue> keys = keysOfLlamaCpp(tiny().load());
        keys.remove(GgufTokenizer.PRE);
        keys.remove(GgufTokenizer.TYPES);
        assertThat(Tokenizers.load(write(keys)).encode("The quick"))
                .isEqualTo(tiny().load().encode("The quick"));
    }

    @Test
    void whatIsNotSupportedIsNamed() {
        SequencedMap<String, GgufValue> keys = keysOfLlamaCpp(tiny().load());
        assertRefused(keys, GgufTokenizer.MODEL, GgufValue.of("llama"), "but only byte-level BPE, \"gpt2\"");
        assertRefused(keys, GgufTokenizer.PRE, GgufValue.of("bloom"), "is \"bloom\", a way to cut text", "qwen2");
        assertRefused(keys, GgufTokenizer.TYPES, GgufValue.ofInts(new int[3]), "has 600 elements", "has 3");
        assertRefused(keys, GgufTokenizer.MERGES, GgufValue.of(3), "must be an array");
        assertRefused(keys, GgufTokenizer.MERGES, GgufValue.ofTexts(List.of("a b c")), "not two tokens");
        assertRefused(keys, GgufTokenizer.MERGES, GgufValue.ofTexts(List.of("nothing the")), "\"nothing\"");
        assertRefused(keys, GgufTokenizer.TOKENS, GgufValue.ofTexts(List.of("a", "a")), "elements, but");
        SequencedMap<String, GgufValue> untyped = new LinkedHashMap<>(keys);
        untyped.remove(GgufTokenizer.TYPES);
        assertRefused(untyped, GgufTokenizer.TOKENS, GgufValue.ofTexts(List.of("a", "a")), "has \"a\" twice");
        assertThatThrownBy(() -> Tokenizers.load(write(new LinkedHashMap<>())))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("has no key \"tokenizer.ggml.model\"");
    }

    private void assertRefused(SequencedMap<String, GgufValue> keys, String key, GgufValue value, String... messages) {
        SequencedMap<String, GgufValue> changed = new LinkedHashMap<>(keys);
        changed.put(key, value);
        assertThatThrownBy(() -> Tokenizers.load(write(changed)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("tokenizer.gguf")
                .hasMessageContainingAll(messages);
    }

    @Test
    void whatLlamaCppCannotDoIsRefused() {
        Tokenizer spaced =
                tiny().part("pre_tokenizer", TinyBpe.byteLevel(true, true)).load();
        assertThatThrownBy(() -> GgufTokenizer.keys(spaced, ROWS))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("puts a space before every text");
        Tokenizer whole =
                tiny().part("pre_tokenizer", TinyBpe.byteLevel(false, false)).load();
        assertThatThrownBy(() -> GgufTokenizer.keys(whole, ROWS))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("llama.cpp has no name for the way");
        assertThatThrownBy(() -> GgufTokenizer.keys(tiny().load(), 300))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("only 300 rows");
    }

    /** The tokenizer of Pythia and Mamba, without its tokenizer.json: 50,277 tokens and runs of spaces as added ones. */
    @Test
    void gptNeoxFromTheKeysOfLlamaCpp() {
        Tokenizer expected = Tokenizers.load(SharedData.require("data/tokenizers/gpt-neox-20b/tokenizer.json"));
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>(GgufTokenizer.keys(expected, 50_280));
        keys.remove(GgufTokenizer.HUGGING_FACE);
        Tokenizer read = Tokenizers.load(write(keys));
        for (String text : TEXTS) {
            assertThat(read.encode(text)).as(text).isEqualTo(expected.encode(text));
        }
        String code = "if (x) {\n            return  y;\n    }\n\n\n";
        assertThat(read.encode(code)).isEqualTo(expected.encode(code));
        assertThat(read.vocabSize()).isEqualTo(expected.vocabSize());
    }
}
