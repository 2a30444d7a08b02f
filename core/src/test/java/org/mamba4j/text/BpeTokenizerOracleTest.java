package org.mamba4j.text;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.SharedData;
import org.mamba4j.TestSeed;

/** The Hugging Face library (native, through DJL) is the definition; ours must give the same ids. */
class BpeTokenizerOracleTest {
    private static final String GPT2 =
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    private static final String LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
            + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String QWEN2 = LLAMA3.replace("{1,3}", "");

    @TempDir
    Path dir;

    static Stream<String> variants() {
        return makers().keySet().stream();
    }

    private static Map<String, TinyBpe> makers() {
        Map<String, TinyBpe> all = new TreeMap<>();
        all.put("plain", new TinyBpe());
        all.put("prefix space", new TinyBpe().part("pre_tokenizer", TinyBpe.byteLevel(true, true)));
        all.put("no regex", new TinyBpe().part("pre_tokenizer", TinyBpe.byteLevel(false, false)));
        all.put("prefix space, no regex", new TinyBpe().part("pre_tokenizer", TinyBpe.byteLevel(true, false)));
        all.put("merges as arrays", new TinyBpe().mergesAsArrays());
        all.put("ignore merges", new TinyBpe().model("ignore_merges", "true"));
        for (String form : List.of("NFC", "NFD", "NFKC", "NFKD")) {
            all.put(form, new TinyBpe().part("normalizer", "{\"type\":\"" + form + "\"}"));
        }
        all.put(
                "NFD then NFC",
                new TinyBpe()
                        .part(
                                "normalizer",
                                "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"NFC\"}]}"));
        all.put("split GPT-2", new TinyBpe().part("pre_tokenizer", TinyBpe.split(GPT2)));
        all.put("split Llama 3", new TinyBpe().part("pre_tokenizer", TinyBpe.split(LLAMA3)));
        all.put("split Qwen 2", new TinyBpe().part("pre_tokenizer", TinyBpe.split(QWEN2)));
        all.put(
                "added tokens",
                new TinyBpe()
                        .part("normalizer", "{\"type\":\"NFC\"}")
                        .added("<|endoftext|>", "special")
                        .added("<|pad|>", "special", "lstrip")
                        .added("<mask>", "special", "lstrip", "rstrip")
                        .added("word", "single_word")
                        .added("x", "single_word", "normalized")
                        .added("    ", "normalized")
                        .added("   ", "normalized")
                        .added("  ", "normalized")
                        .added("ab", "normalized")
                        .added("abc", "normalized")
                        .added("bcd", "normalized", "rstrip")
                        .added("e\u0301", "normalized")
                        .added("n\u0303o")
                        .added("漢", "rstrip"));
        all.put(
                "added tokens behind prefix space",
                new TinyBpe()
                        .part("pre_tokenizer", TinyBpe.byteLevel(true, true))
                        .added("<|endoftext|>", "special")
                        .added("<mask>", "lstrip", "normalized")
                        .added("\n\n", "normalized"));
        return all;
    }

    @ParameterizedTest
    @MethodSource("variants")
    void equalsTheLibraryOnNastyText(String variant) throws IOException {
        TinyBpe maker = Objects.requireNonNull(makers().get(variant));
        Random random = new Random(TestSeed.of(variant));
        Tokenizer ours = maker.load();
        try (HuggingFaceTokenizer theirs = oracle(maker.bytes())) {
            assertEqual(ours, theirs, "");
            for (int i = 0; i < 800; i++) {
                assertEqual(ours, theirs, NastyText.next(random, 1 + random.nextInt(60)));
            }
        }
    }

    /** Letters, numbers, white space and normal forms of every character there is, alone and before others. */
    @Test
    void equalsTheLibraryOnEveryCharacter() throws IOException {
        TinyBpe maker = new TinyBpe().part("normalizer", "{\"type\":\"NFC\"}");
        Tokenizer ours = maker.load();
        try (HuggingFaceTokenizer theirs = oracle(maker.bytes())) {
            StringBuilder text = new StringBuilder();
            for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
                // Of long ranges of characters that are all alike, a sample.
                boolean alike = (c >= 0x3400 && c < 0xA000) || (c >= 0xAC00 && c < 0xF900) || c >= 0x20000;
                if (Character.getType(c) == Character.SURROGATE || (alike && c % 97 != 0)) {
                    continue;
                }
                text.append('a')
                        .appendCodePoint(c)
                        .append("\u0301 1")
                        .appendCodePoint(c)
                        .append('!')
                        .appendCodePoint(c);
                if (text.length() > 20_000) {
                    assertEqual(ours, theirs, text.toString());
                    text.setLength(0);
                }
            }
            assertEqual(ours, theirs, text.toString());
        }
    }

    @Test
    void equalsTheLibraryOnRealText() throws IOException {
        Path file = SharedData.require("data/tokenizers/gpt-neox-20b/tokenizer.json");
        Tokenizer ours = Tokenizers.load(file);
        try (HuggingFaceTokenizer theirs = oracle(Files.readAllBytes(file));
                Stream<Path> texts = Files.list(SharedData.require("data/text"))) {
            List<Path> all = texts.sorted().toList();
            assertThat(all).isNotEmpty();
            for (Path text : all) {
                String content = Files.readString(text);
                assertEqual(ours, theirs, content);
                assertThat(ours.decode(ours.encode(content)))
                        .isEqualTo(java.text.Normalizer.normalize(content, java.text.Normalizer.Form.NFC));
            }
            Random random = new Random(5);
            for (int i = 0; i < 1_000; i++) {
                assertEqual(ours, theirs, NastyText.next(random, 1 + random.nextInt(200)));
            }
            String code = "class A {\n    int x;\r\n\n\n\tif (a) {\n" + " ".repeat(33)
                    + "b();\n  }\n}<|endoftext|>  <|padding|>\n";
            assertEqual(ours, theirs, code.repeat(50));
            assertEqual(ours, theirs, "a".repeat(20_000) + " ".repeat(20_000) + "\n".repeat(3_000) + "漢".repeat(3_000));
            for (int id = 0; id < ours.vocabSize(); id += 7) {
                assertThat(ours.decode(new int[] {id})).isEqualTo(theirs.decode(new long[] {id}, false));
            }
        }
    }

    private HuggingFaceTokenizer oracle(byte[] json) throws IOException {
        Path file = dir.resolve("tokenizer.json");
        Files.write(file, json);
        return HuggingFaceTokenizer.builder()
                .optTokenizerPath(file)
                .optAddSpecialTokens(false)
                .optTruncation(false)
                .optPadding(false)
                .build();
    }

    private static void assertEqual(Tokenizer ours, HuggingFaceTokenizer theirs, String text) {
        int[] expected = Arrays.stream(theirs.encode(text, false, false).getIds())
                .mapToInt(Math::toIntExact)
                .toArray();
        int[] actual = ours.encode(text.getBytes(UTF_8));
        int same = Arrays.mismatch(actual, expected);
        if (same >= 0) {
            List<String> words = new ArrayList<>();
            for (int i = Math.max(0, same - 3); i < Math.min(expected.length, same + 5); i++) {
                words.add(ours.decode(new int[] {expected[i]}));
            }
            assertThat(Arrays.copyOfRange(actual, Math.max(0, same - 3), Math.min(actual.length, same + 5)))
                    .as("ids near %s of %s", words, text.length() < 300 ? escaped(text) : "a long text")
                    .isEqualTo(
                            Arrays.copyOfRange(expected, Math.max(0, same - 3), Math.min(expected.length, same + 5)));
        }
        assertThat(ours.encode(text)).isEqualTo(actual);
    }

    private static String escaped(String text) {
        StringBuilder escaped = new StringBuilder();
        text.codePoints().forEach(c -> {
            if (c > ' ' && c < 127) {
                escaped.append((char) c);
            } else {
                escaped.append("\\u{%x}".formatted(c));
            }
        });
        return escaped.toString();
    }
}
