package org.mamba4j.text;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.TestSeed;
import org.mamba4j.UserError;

class BpeTokenizerTest {
    private static final Tokenizer TINY = new TinyBpe().load();

    @Test
    void decodesWhatItEncodes() {
        Random random = seeded();
        for (int i = 0; i < 3_000; i++) {
            String text = NastyText.next(random, random.nextInt(80));
            assertThat(TINY.decode(TINY.encode(text))).isEqualTo(text);
        }
        assertThat(TINY.encode("")).isEmpty();
        assertThat(TINY.decode(new int[0])).isEmpty();
    }

    @Test
    void whatIsNotUtf8IsReplacedAsJavaDoes() {
        Random random = seeded();
        for (int i = 0; i < 2_000; i++) {
            byte[] bytes = new byte[random.nextInt(20)];
            random.nextBytes(bytes);
            assertThat(TINY.decode(TINY.encode(bytes))).isEqualTo(new String(bytes, UTF_8));
        }
        assertThat(TINY.decode(TINY.encode("a\ud800b\udc00"))).isEqualTo("a?b?");
        assertThat(TINY.decode(TINY.encode("caf\u00e9".getBytes(ISO_8859_1)))).isEqualTo("caf\ufffd");
    }

    /** The pairs of short and long words are merged by different code. */
    @Test
    void longAndShortWordsMergeAlike() {
        Random random = seeded();
        MergeTable merges = new MergeTable(300);
        Set<Long> taken = new HashSet<>();
        for (int rank = 0; rank < 300; rank++) {
            int left = random.nextInt(4 + rank / 8);
            int right = random.nextInt(4 + rank / 8);
            if (taken.add(((long) left << 32) | right)) {
                merges.put(left, right, rank, 4 + rank);
            }
        }
        Merger merger = new Merger(merges);
        for (int i = 0; i < 20_000; i++) {
            int n = random.nextInt(Merger.SHORT + 1);
            int[] word = random.ints(n, 0, 4).toArray();
            System.arraycopy(word, 0, merger.buffer(n), 0, n);
            int[] quick = Arrays.copyOf(merger.buffer(n), merger.merge(n));
            System.arraycopy(word, 0, merger.buffer(n), 0, n);
            int[] heaped = n == 0 ? new int[0] : Arrays.copyOf(merger.buffer(n), merger.mergeLong(n));
            assertThat(heaped).as("%s", Arrays.toString(word)).isEqualTo(quick);
        }
    }

    @Test
    void mergeTableKnowsWhatWasPutAndNothingElse() {
        Random random = seeded();
        for (int n : new int[] {0, 1, 2, 7, 1_000, 50_000}) {
            MergeTable table = new MergeTable(n);
            int[] lefts = random.ints(n, 0, 60_000).toArray();
            for (int i = 0; i < n; i++) {
                table.put(lefts[i], i, i, i + 5);
            }
            for (int i = 0; i < n; i++) {
                assertThat(table.get(lefts[i], i)).isEqualTo(((long) i << 32) | (i + 5));
                assertThat(table.get(lefts[i] + 1, i)).isEqualTo(MergeTable.NONE);
            }
            assertThat(table.get(0, 70_000)).isEqualTo(MergeTable.NONE);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a",
                " ",
                "\n",
                "ab",
                "x y",
                "é",
                "漢",
                "\u0301",
                "e\u0301",
                "'s",
                "!",
                "1",
                "\u0000",
                "<|endoftext|"
            })
    void aMegabyteOfOneThingIsNotSlow(String unit) {
        Tokenizer tokenizer = new TinyBpe()
                .part("normalizer", "{\"type\":\"NFC\"}")
                .added("<|endoftext|>", "special")
                .added("    ", "normalized", "lstrip")
                .load();
        byte[] text = unit.repeat(1_000_000 / unit.length()).getBytes(UTF_8);
        long start = System.nanoTime();
        int[] ids = tokenizer.encode(text);
        double seconds = (System.nanoTime() - start) * 1e-9;
        assertThat(ids).isNotEmpty();
        // Takes about 0.2 s; what is quadratic takes hours.
        assertThat(seconds).isLessThan(20);
    }

    @Test
    void threadsDoNotDisturbEachOther() throws Exception {
        String[] texts = IntStream.range(0, 200)
                .mapToObj(i -> NastyText.next(new Random(i), 300))
                .toArray(String[]::new);
        int[][] expected = Arrays.stream(texts)
                .map(t -> new TinyBpe().load().encode(t))
                .limit(5)
                .toArray(int[][]::new);
        Tokenizer shared = new TinyBpe().load();
        Callable<Boolean> work = () -> {
            for (int round = 0; round < 20; round++) {
                for (int i = 0; i < texts.length; i++) {
                    int[] ids = shared.encode(texts[i]);
                    if ((i < 5 && !Arrays.equals(ids, expected[i]))
                            || !shared.decode(ids).equals(texts[i])) {
                        return false;
                    }
                }
            }
            return true;
        };
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (Future<Boolean> done : threads.invokeAll(java.util.Collections.nCopies(4, work))) {
                assertThat(done.get()).isTrue();
            }
        }
    }

    @Test
    void textMayBeCutAtSplitPoints() {
        Random random = seeded();
        Tokenizer tokenizer = new TinyBpe()
                .part("normalizer", "{\"type\":\"NFC\"}")
                .added("<|endoftext|>", "special", "lstrip")
                .added("\nab", "normalized")
                .added("word", "single_word")
                .load();
        int cuts = 0;
        for (int i = 0; i < 3_000; i++) {
            String text = NastyText.next(random, 40) + "a\nb" + NastyText.next(random, 40) + "word\nab"
                    + NastyText.next(random, 9);
            byte[] bytes = text.getBytes(UTF_8);
            int length = random.nextInt(bytes.length + 1);
            int cut = tokenizer.splitPoint(bytes, length);
            assertThat(cut).isBetween(0, length);
            int[] head = tokenizer.encode(Arrays.copyOf(bytes, cut));
            int[] tail = tokenizer.encode(Arrays.copyOfRange(bytes, cut, bytes.length));
            assertThat(IntStream.concat(IntStream.of(head), IntStream.of(tail)).toArray())
                    .isEqualTo(tokenizer.encode(bytes));
            cuts += cut > 0 ? 1 : 0;
        }
        assertThat(cuts).isGreaterThan(1_000);
    }

    @Test
    void textIsNotCutWhereTokensMayReachAcross() {
        byte[] text = "aa\nbb".getBytes(UTF_8);
        assertThat(TINY.splitPoint(text, 5)).isEqualTo(2);
        assertThat(TINY.splitPoint(text, 3)).isZero();
        assertThat(new TinyBpe().added("a\nb").load().splitPoint(text, 5)).isZero();
        assertThat(new TinyBpe().added("aa", "rstrip").load().splitPoint(text, 5))
                .isZero();
        assertThat(new TinyBpe()
                        .part("pre_tokenizer", TinyBpe.byteLevel(false, false))
                        .load()
                        .splitPoint(text, 5))
                .isZero();
    }

    @Test
    void vocabularyIsWhatTheFileSays() {
        Tokenizer tokenizer = new TinyBpe().added("<|endoftext|>", "special").load();
        int id = tokenizer.vocabSize() - 1;
        assertThat(tokenizer.encode("<|endoftext|>")).containsExactly(id);
        assertThat(tokenizer.bytes(id)).isEqualTo("<|endoftext|>".getBytes(UTF_8));
        assertThat(tokenizer.bytes(0xE4)).containsExactly(0xE4);
        for (int bad : new int[] {-1, id + 1, Integer.MAX_VALUE}) {
            assertThatThrownBy(() -> tokenizer.bytes(bad))
                    .isInstanceOf(UserError.class)
                    .hasMessageContainingAll("token " + bad, "0 to " + id);
            assertThatThrownBy(() -> tokenizer.decode(new int[] {1, bad})).isInstanceOf(UserError.class);
        }
        byte[] mine = tokenizer.bytes(65);
        mine[0] = 0;
        assertThat(tokenizer.bytes(65)).containsExactly(65);
    }

    @Test
    void fingerprintIsThatOfTheFile() {
        assertThat(new TinyBpe().load().fingerprint())
                .isEqualTo(TINY.fingerprint())
                .hasSize(64);
        assertThat(new TinyBpe().added("<x>").load().fingerprint()).isNotEqualTo(TINY.fingerprint());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            part  | normalizer    | {"type":"Lowercase"}              | the normalizer "Lowercase" is not supported
            part  | normalizer    | {"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"StripAccents"}]} | "StripAccents"
            part  | normalizer    | 3                                 | the normalizer 3
            part  | pre_tokenizer | null                              | the pre_tokenizer null
            part  | pre_tokenizer | {"type":"Whitespace"}             | the pre_tokenizer "Whitespace"
            part  | pre_tokenizer | {"type":"Metaspace"}              | the pre_tokenizer "Metaspace"
            part  | pre_tokenizer | {"type":"ByteLevel"}              | "add_prefix_space" is missing
            part  | pre_tokenizer | {"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"ByteLevel"}]} | Digits
            part  | decoder       | {"type":"WordPiece"}              | the decoder "WordPiece"
            part  | added_tokens  | [{"content":"q1","id":7}]         | "q1" has the id 7
            part  | added_tokens  | [{"content":"q1"}]                | "id" is missing
            part  | added_tokens  | [{"content":"q1","id":-1}]        | id
            model | type          | "Unigram"                         | the model "Unigram" is not supported
            model | type          | "WordPiece"                       | the model "WordPiece" is not supported
            model | dropout       | 0.1                               | model.dropout 0.1
            model | end_of_word_suffix | "</w>"                       | model.end_of_word_suffix "</w>"
            model | continuing_subword_prefix | "##"                  | model.continuing_subword_prefix "##"
            model | something_new | 1                                 | model.something_new 1
            model | merges        | ["a"]                             | the merge "a"
            model | merges        | ["a b c"]                         | the merge "a b c"
            model | merges        | [["a"]]                           | is not a pair of tokens
            model | merges        | [1]                               | the merge 1
            model | merges        | ["a qqqqq"]                       | "qqqqq", which is not in the vocabulary
            model | merges        | ["q z"]                           | "qz", which is not in the vocabulary
            model | vocab         | {"a":0}                           | only byte-level BPE
            model | vocab         | {"a":0,"b":0}                     | the id 0 of another token
            model | vocab         | {"a":-1}                          | the id -1
            model | vocab         | {"a":2000000000}                  | out of range
            model | vocab         | {"a":"b"}                         | tiny.json, line
            model | vocab         | []                                | tiny.json, line
            """)
    void whatIsNotSupportedIsNamed(String kind, String key, String json, String message) {
        TinyBpe maker = kind.equals("part") ? new TinyBpe().part(key, json) : new TinyBpe().model(key, json);
        if (key.equals("added_tokens")) {
            maker = new TinyBpe().replaced("\"added_tokens\":[]", "\"added_tokens\":" + json);
        }
        TinyBpe made = maker;
        assertThatThrownBy(made::load)
                .isInstanceOf(UserError.class)
                .hasMessageContainingAll("tiny.json", message)
                .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
    }

    @Test
    void unknownSplitIsNamed() {
        assertThatThrownBy(() -> new TinyBpe()
                        .part("pre_tokenizer", TinyBpe.split("[a-z]+"))
                        .load())
                .isInstanceOf(UserError.class)
                .hasMessageContaining("[a-z]+");
    }

    /** Cut, flipped and shuffled files: either they still make a tokenizer, or the error is the user's. */
    @Test
    void damagedFilesAreUserErrors() {
        Random random = seeded();
        byte[] whole = new TinyBpe().added("<|endoftext|>", "special").bytes();
        int refused = 0;
        for (int i = 0; i < 3_000; i++) {
            byte[] bad = i % 3 == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
            for (int k = random.nextInt(4); k >= 0 && bad.length > 0 && i % 3 != 0; k--) {
                int at = random.nextInt(bad.length);
                bad[at] = i % 3 == 1 ? (byte) random.nextInt(256) : bad[random.nextInt(bad.length)];
            }
            try {
                Tokenizer tokenizer = TokenizerJson.read(bad, "bad.json");
                tokenizer.encode("the quick brown fox <|endoftext|> 123");
            } catch (UserError e) {
                assertThat(e.getMessage()).contains("bad.json").doesNotContain("\n");
                refused++;
            }
        }
        assertThat(refused).isGreaterThan(1_000);
    }

    private static Random seeded() {
        return new Random(TestSeed.of("BpeTokenizerTest"));
    }
}
