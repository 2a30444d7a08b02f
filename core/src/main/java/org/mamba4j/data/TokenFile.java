package org.mamba4j.data;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizer;

/**
 * A tokenised corpus, memory-mapped: more than 2^31 tokens are fine, and opening costs the same for any number.
 *
 * <p>Layout, little-endian, version 1:
 *
 * <pre>
 * offset  size
 *      0     8  magic "MAMBA4JT"
 *      8     4  version
 *     12     4  bytes per token (w): 1 when the vocabulary has at most 256 entries, 2 up to 65,536, else 4
 *     16     8  number of tokens (T)
 *     24     8  number of documents (D); documents without tokens are left out
 *     32     4  vocabulary size; every token is below it
 *     36     4  CRC-32C of the header (with this field as 0) and of the document table
 *     40    32  fingerprint of the tokenizer
 *     72    32  fingerprint of the corpus
 *    104    32  SHA-256 of the tokens as written: the identity of the data
 *    136   T·w  tokens, unsigned, document after document
 *           ..  zeros up to a multiple of 8
 *        D·24   per document: end (tokens up to and including it), bytes of its text, first 8 bytes of its name's SHA-256
 * </pre>
 *
 * <p>Thread-safe. Everything that reads from it fails once it is closed.
 */
public final class TokenFile implements AutoCloseable {
    static final long MAGIC = 0x544A3441424D414DL; // "MAMBA4JT", little-endian
    static final int VERSION = 1;
    static final int HEADER_BYTES = 136;
    static final int DOCUMENT_BYTES = 24;

    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final Arena arena;
    private final MemorySegment segment;
    private final int width;
    private final int vocabSize;
    private final long tokens;
    private final int documents;
    private final long documentsAt;

    private TokenFile(Path path, Arena arena, MemorySegment segment) {
        this.path = path;
        this.arena = arena;
        this.segment = segment;
        this.width = segment.get(I32, 12);
        this.tokens = segment.get(I64, 16);
        this.documents = Math.toIntExact(segment.get(I64, 24));
        this.vocabSize = segment.get(I32, 32);
        this.documentsAt = documentsAt(tokens, width);
    }

    /**
     * The token file of {@code corpus}: {@code path} itself when it was made from the same corpus by the same
     * tokenizer, otherwise written anew, atomically (whoever reads the old one is not disturbed).
     *
     * @throws UserError if the corpus cannot be read, {@code path} holds something that is not a token file, or it
     *     cannot be written
     */
    public static TokenFile of(Corpus corpus, Tokenizer tokenizer, Path path) {
        if (Files.exists(path) && !isReusable(corpus, tokenizer, path)) {
            System.getLogger(TokenFile.class.getName())
                    .log(System.Logger.Level.INFO, path + " is of another corpus or tokenizer: tokenising again");
            new TokenFileWriter(corpus, tokenizer).write(path);
        } else if (!Files.exists(path)) {
            new TokenFileWriter(corpus, tokenizer).write(path);
        }
        return open(path, tokenizer);
    }

    private static boolean isReusable(Corpus corpus, Tokenizer tokenizer, Path path) {
        Kind kind = kindOf(path);
        if (kind == Kind.FOREIGN) {
            throw new UserError(path + " exists and is not a token file: it is left alone; name another file");
        }
        if (kind == Kind.DAMAGED) {
            return false;
        }
        try (TokenFile file = open(path)) {
            return file.tokenizerFingerprint().equals(tokenizer.fingerprint())
                    && file.corpusFingerprint().equals(corpus.fingerprint());
        }
    }

    /**
     * Opens a token file and makes sure that {@code tokenizer} made it.
     *
     * @throws UserError like {@link #open(Path)}, and if another tokenizer made the file
     */
    public static TokenFile open(Path path, Tokenizer tokenizer) {
        TokenFile file = open(path);
        if (!file.tokenizerFingerprint().equals(tokenizer.fingerprint())) {
            int vocabSize = file.vocabSize();
            file.close();
            throw new UserError(path + " was made by another tokenizer (vocabulary " + vocabSize + ", this one's "
                    + tokenizer.vocabSize() + "): delete it to have it made again, or use the tokenizer that made it");
        }
        return file;
    }

    /**
     * Opens a token file.
     *
     * @throws UserError if there is none, it cannot be read, is not a token file, of a newer version, or damaged
     */
    public static TokenFile open(Path path) {
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            MemorySegment segment = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            String problem = problem(segment);
            if (!problem.isEmpty()) {
                throw new UserError(path + " " + problem);
            }
            return new TokenFile(path, arena, segment);
        } catch (NoSuchFileException e) {
            arena.close();
            throw new UserError("no such token file: " + path, e);
        } catch (IOException e) {
            arena.close();
            throw new UserError(path + " cannot be read (" + Corpus.reason(e) + "): check its permissions", e);
        } catch (UserError e) {
            arena.close();
            throw e;
        }
    }

    private enum Kind {
        SOUND,
        DAMAGED,
        FOREIGN
    }

    /** Tells a file that we wrote once, and may replace, from one that is somebody else's. */
    private static Kind kindOf(Path path) {
        try (Arena arena = Arena.ofConfined();
                FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            MemorySegment segment = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            if (segment.byteSize() < Long.BYTES || segment.get(I64, 0) != MAGIC) {
                return Kind.FOREIGN;
            }
            return problem(segment).isEmpty() ? Kind.SOUND : Kind.DAMAGED;
        } catch (IOException e) {
            throw new UserError(path + " cannot be read (" + Corpus.reason(e) + "): check its permissions", e);
        }
    }

    /** What is wrong with a file, to follow its name; empty if nothing is. */
    private static String problem(MemorySegment s) {
        String remedy = ": delete it to have it made again";
        if (s.byteSize() < Long.BYTES || s.get(I64, 0) != MAGIC) {
            return "is not a token file (it does not begin with MAMBA4JT): name another file";
        }
        if (s.byteSize() < HEADER_BYTES) {
            return "is cut short: " + s.byteSize() + " bytes, the header alone has " + HEADER_BYTES + remedy;
        }
        int version = s.get(I32, 8);
        if (version != VERSION) {
            return "is a token file of version " + version + ", this program reads version " + VERSION + remedy;
        }
        int width = s.get(I32, 12);
        long tokens = s.get(I64, 16);
        long documents = s.get(I64, 24);
        boolean sane = (width == 1 || width == 2 || width == 4)
                && tokens >= 0
                && tokens <= s.byteSize() / width
                && documents >= 0
                && documents <= s.byteSize() / DOCUMENT_BYTES;
        long expected = sane ? documentsAt(tokens, width) + documents * DOCUMENT_BYTES : -1;
        if (!sane || expected != s.byteSize()) {
            return "is damaged: its header speaks of " + tokens + " tokens of " + width + " bytes in " + documents
                    + " documents, its size is " + s.byteSize() + " bytes" + remedy;
        }
        MemorySegment table = s.asSlice(expected - documents * DOCUMENT_BYTES);
        if (checksum(s.asSlice(0, HEADER_BYTES), table) != s.get(I32, 36)) {
            return "is damaged: the checksum of its header and document table does not match" + remedy;
        }
        return "";
    }

    static long documentsAt(long tokens, int width) {
        return (HEADER_BYTES + tokens * width + 7) & -8L;
    }

    /** CRC-32C of header, its checksum field taken as 0, and document table. */
    static int checksum(MemorySegment header, MemorySegment documents) {
        CRC32C crc = new CRC32C();
        byte[] bytes = header.toArray(ValueLayout.JAVA_BYTE);
        java.util.Arrays.fill(bytes, 36, 40, (byte) 0);
        crc.update(bytes);
        crc.update(documents.asByteBuffer());
        return (int) crc.getValue();
    }

    /** Where the file lies. */
    public Path path() {
        return path;
    }

    /** Number of tokens of all documents. */
    public long size() {
        return tokens;
    }

    /** Number of documents that have tokens. */
    public int documents() {
        return documents;
    }

    /** Number of tokens that the tokenizer knows. */
    public int vocabSize() {
        return vocabSize;
    }

    /** Index of the first token of document {@code d}; of the end for {@code d = documents()}. */
    public long start(int d) {
        return d == 0 ? 0 : document(d - 1, 0);
    }

    /** Bytes of the text of document {@code d}: what bits per byte are counted by. */
    public long textBytes(int d) {
        return document(d, 8);
    }

    /** The first 8 bytes of the SHA-256 of the name of document {@code d}. */
    long nameHash(int d) {
        return document(d, 16);
    }

    private long document(int d, int field) {
        java.util.Objects.checkIndex(d, documents);
        return segment.get(I64, documentsAt + (long) d * DOCUMENT_BYTES + field);
    }

    /** Fingerprint of the tokenizer that made the tokens. */
    public String tokenizerFingerprint() {
        return hex(40);
    }

    /** {@link Corpus#fingerprint} of the corpus, as it was when it was tokenised. */
    public String corpusFingerprint() {
        return hex(72);
    }

    /** SHA-256 of the tokens: equal for equal data, wherever and whenever they were tokenised. */
    public String contentFingerprint() {
        return hex(104);
    }

    private String hex(long offset) {
        return HexFormat.of().formatHex(segment.asSlice(offset, 32).toArray(ValueLayout.JAVA_BYTE));
    }

    /**
     * Copies {@code count} tokens from index {@code from} on into {@code out}, from {@code at} on.
     *
     * @throws IndexOutOfBoundsException if they are not in the file or not in {@code out}
     * @throws UserError if a token is not in the vocabulary: the file is damaged
     */
    public void read(long from, int count, int[] out, int at) {
        java.util.Objects.checkFromIndexSize(from, count, tokens);
        java.util.Objects.checkFromIndexSize(at, count, out.length);
        int largest = 0;
        for (int i = 0; i < count; i++) {
            int token = token(from + i);
            out[at + i] = token;
            largest = Integer.compareUnsigned(token, largest) > 0 ? token : largest;
        }
        if (Integer.compareUnsigned(largest, vocabSize) >= 0) {
            throw new UserError(path + " is damaged: token " + Integer.toUnsignedString(largest) + " among those from "
                    + from + " on, the vocabulary has " + vocabSize + ": delete it to have it made again");
        }
    }

    private int token(long index) {
        return switch (width) {
            case 1 -> segment.get(ValueLayout.JAVA_BYTE, HEADER_BYTES + index) & 0xFF;
            case 2 -> segment.get(U16, HEADER_BYTES + 2 * index) & 0xFFFF;
            default -> segment.get(I32, HEADER_BYTES + 4 * index);
        };
    }

    @Override
    public void close() {
        arena.close();
    }
}
