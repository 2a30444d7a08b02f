package org.mamba4j.text;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.mamba4j.Fingerprint;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.Utf8;

/**
 * Byte-level BPE from a tokenizer.json: ids equal those of the Hugging Face tokenizers library, token for token.
 *
 * <p>A text goes through five steps: added tokens marked as not normalized are taken out; what lies between is
 * normalised (NFC, …); the other added tokens are taken out; what lies between is cut into words by the pre-tokenizer,
 * each perhaps behind a space of its own; the bytes of a word are merged pair by pair as learnt ({@link Merger}).
 *
 * <p>How it is fast: it works on UTF-8 bytes throughout, without objects per word; the words' regular expression is a
 * hand-written scanner ({@link Gpt2Words}); text known to be in normal form is not copied ({@link Normalization}); and
 * a word seen before is looked up ({@link WordCache}). No step is more than n log n, whatever the text.
 *
 * <p>Nothing is added at the front or the end, nothing is cut off: the file's post-processor, truncation and padding
 * are not applied. In {@link #bytes} and {@link #decode} special tokens appear as they are written.
 */
final class BpeTokenizer implements Tokenizer {
    /** What happens to the text before merging. */
    record Steps(AddedTokens raw, Normalization normalization, AddedTokens normalized, Words words) {}

    /**
     * How text is cut into words.
     *
     * @param addPrefixSpace puts a space before text that does not begin with one
     */
    record Words(WordSplitter splitter, boolean addPrefixSpace) {}

    /**
     * What is merged.
     *
     * @param byteIds token of each byte; -1 for bytes that UTF-8 does not have
     * @param merges the pairs
     * @param whole words taken as they are, before any merge; by spelling
     * @param tokens bytes by id; empty where there is no token
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared, never leaves the package
    record Model(int[] byteIds, MergeTable merges, Map<String, Integer> whole, byte[][] tokens) {}

    private final byte[] json;
    private final Steps steps;
    private final Model model;
    private final boolean cuttable;
    private final WordCache cache = new WordCache();

    BpeTokenizer(byte[] json, Steps steps, Model model) {
        this.json = json;
        this.steps = steps;
        this.model = model;
        this.cuttable = !steps.words().splitter().equals(WordSplitter.NONE)
                && !steps.raw().holdBreak()
                && !steps.normalized().holdBreak();
    }

    /** The tokenizer.json that it was made of. */
    byte[] json() {
        return json.clone();
    }

    Steps steps() {
        return steps;
    }

    /** Whether a word that is a token is taken before any merge. */
    boolean takesWholeWords() {
        return !model.whole().isEmpty();
    }

    /** All tokens that are looked for in the text itself. */
    List<AddedTokens.Token> addedTokens() {
        List<AddedTokens.Token> all = steps.raw().tokens();
        all.addAll(steps.normalized().tokens());
        return all;
    }

    @Override
    public int[] encode(String text) {
        return encodeValid(text.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public int[] encode(byte[] utf8) {
        boolean valid = Utf8.firstInvalid(utf8) == utf8.length;
        return encodeValid(valid ? utf8 : new String(utf8, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8));
    }

    private int[] encodeValid(byte[] utf8) {
        Encoding encoding = new Encoding(utf8.length);
        steps.raw().split(utf8, 0, utf8.length, encoding);
        return encoding.ids.toArray();
    }

    /** One text on its way; takes what lies between the added tokens of the first kind. */
    private final class Encoding implements AddedTokens.Sink {
        private final IntList ids;
        private final Merger merger = new Merger(model.merges());
        private final AddedTokens.Sink normalizedSink = new AddedTokens.Sink() {
            @Override
            public void text(byte[] utf8, int from, int to) {
                words(utf8, from, to);
            }

            @Override
            public void token(int id) {
                ids.add(id);
            }
        };

        Encoding(int bytes) {
            ids = new IntList(bytes / 3);
        }

        @Override
        public void token(int id) {
            ids.add(id);
        }

        @Override
        public void text(byte[] utf8, int from, int to) {
            if (steps.normalization().isNormal(utf8, from, to)) {
                steps.normalized().split(utf8, from, to, normalizedSink);
            } else {
                byte[] normal = steps.normalization().normalize(utf8, from, to);
                steps.normalized().split(normal, 0, normal.length, normalizedSink);
            }
        }

        private void words(byte[] utf8, int from, int to) {
            if (steps.words().addPrefixSpace() && utf8[from] != ' ') {
                byte[] spaced = new byte[to - from + 1];
                spaced[0] = ' ';
                System.arraycopy(utf8, from, spaced, 1, to - from);
                allWords(spaced, 0, spaced.length);
            } else {
                allWords(utf8, from, to);
            }
        }

        private void allWords(byte[] utf8, int from, int to) {
            WordSplitter splitter = steps.words().splitter();
            for (int i = from; i < to; ) {
                int end = splitter.wordEnd(utf8, i, to);
                word(utf8, i, end);
                i = end;
            }
        }

        private void word(byte[] utf8, int from, int to) {
            if (to - from > WordCache.MAX_WORD_BYTES) {
                int n = merge(utf8, from, to);
                ids.addAll(merger.buffer(n), n);
                return;
            }
            int slot = WordCache.slot(utf8, from, to);
            WordCache.@Nullable Entry entry = cache.get(slot);
            if (entry == null || !entry.is(utf8, from, to)) {
                int n = merge(utf8, from, to);
                entry = new WordCache.Entry(
                        java.util.Arrays.copyOfRange(utf8, from, to), java.util.Arrays.copyOf(merger.buffer(n), n));
                cache.put(slot, entry);
            }
            ids.addAll(entry.ids(), entry.ids().length);
        }

        /** Tokens of a word, in the merger's buffer. */
        private int merge(byte[] utf8, int from, int to) {
            int[] buffer = merger.buffer(to - from);
            if (!model.whole().isEmpty()) {
                StringBuilder spelling = new StringBuilder(to - from);
                for (int i = from; i < to; i++) {
                    spelling.append(ByteAlphabet.character(utf8[i] & 0xFF));
                }
                Integer id = model.whole().get(spelling.toString());
                if (id != null) {
                    buffer[0] = id;
                    return 1;
                }
            }
            for (int i = from; i < to; i++) {
                buffer[i - from] = model.byteIds()[utf8[i] & 0xFF];
            }
            return merger.merge(to - from);
        }
    }

    @Override
    public byte[] bytes(int token) {
        return checked(token).clone();
    }

    @Override
    public String decode(int[] tokens) {
        java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream(tokens.length * 4);
        for (int token : tokens) {
            bytes.writeBytes(checked(token));
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private byte[] checked(int token) {
        byte[][] tokens = model.tokens();
        if (token < 0 || token >= tokens.length || tokens[token].length == 0) {
            throw new UserError("token " + token + " is not in the vocabulary: ids are 0 to " + (tokens.length - 1));
        }
        return tokens[token];
    }

    @Override
    public int vocabSize() {
        return model.tokens().length;
    }

    @Override
    public String fingerprint() {
        return new Fingerprint().add(ByteBuffer.wrap(json)).hex();
    }

    /** Before a line break between ASCII letters: there every splitter cuts, and no normal form reaches across. */
    @Override
    public int splitPoint(byte[] utf8, int length) {
        Objects.checkFromIndexSize(0, length, utf8.length);
        for (int i = length - 2; cuttable && i > 0; i--) {
            if (utf8[i] == '\n' && isAsciiLetter(utf8[i - 1]) && isAsciiLetter(utf8[i + 1])) {
                return i;
            }
        }
        return 0;
    }

    private static boolean isAsciiLetter(byte b) {
        return (b | 0x20) >= 'a' && (b | 0x20) <= 'z';
    }

    @Override
    public void save(Path folder) {
        AtomicFile.writeBytes(folder.resolve(Tokenizers.FILE), json);
    }
}
