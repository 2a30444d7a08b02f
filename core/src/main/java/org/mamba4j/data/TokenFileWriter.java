package org.mamba4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.mamba4j.Fingerprint;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.text.TokenReader;
import org.mamba4j.text.Tokenizer;

/**
 * Writes a {@link TokenFile}: tokens as they come, then the document table, then the header; under a temporary name
 * that is only changed when everything is on disk. Holds one document (a piece of it when it is long) and 24 bytes per
 * document in memory.
 */
final class TokenFileWriter {
    /** Documents above this size are tokenised piece by piece, cut where the tokenizer says that it does not matter. */
    static final int PIECE_BYTES = 16 << 20;

    /** The greatest array. */
    private static final int MOST_BYTES = Integer.MAX_VALUE - 64;

    private final Corpus corpus;
    private final Tokenizer tokenizer;
    private final int width;
    private final int pieceBytes;
    private final Fingerprint content = new Fingerprint();
    private final ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    private ByteBuffer documents = ByteBuffer.allocate(1 << 10).order(ByteOrder.LITTLE_ENDIAN);
    private long tokens;

    TokenFileWriter(Corpus corpus, Tokenizer tokenizer) {
        this(corpus, tokenizer, PIECE_BYTES);
    }

    TokenFileWriter(Corpus corpus, Tokenizer tokenizer, int pieceBytes) {
        this.corpus = corpus;
        this.tokenizer = tokenizer;
        this.width = tokenizer.vocabSize() <= 1 << 8 ? 1 : tokenizer.vocabSize() <= 1 << 16 ? 2 : 4;
        this.pieceBytes = pieceBytes;
    }

    /** Writes {@code target}, whose folder is made when it does not exist. */
    void write(Path target) {
        Path folder = target.toAbsolutePath().normalize().getParent();
        if (folder == null) {
            throw new UserError(target + " is not a file name: name a file for the tokens");
        }
        // Fixed before reading: a document that changes meanwhile makes the file stale, never wrongly fresh.
        String corpusFingerprint = corpus.fingerprint();
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UserError(
                    target + " cannot be written (" + Corpus.reason(e) + " for the folder " + folder
                            + "): allow writing there or name another file",
                    e);
        }
        AtomicFile.write(target, channel -> writeAll(channel, corpusFingerprint));
    }

    private void writeAll(FileChannel channel, String corpusFingerprint) throws IOException {
        channel.position(TokenFile.HEADER_BYTES);
        try {
            corpus.forEach(document -> {
                try {
                    add(document, channel);
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
        } catch (java.io.UncheckedIOException e) {
            throw e.getCause();
        }
        if (tokens == 0) {
            throw new UserError("the corpus " + corpus.description() + " has no text: all its files are empty");
        }
        flush(channel);
        byte[] contentFingerprint = content.bytes();
        documents.flip();
        ByteBuffer header = header(corpusFingerprint, contentFingerprint);
        header.putInt(36, TokenFile.checksum(MemorySegment.ofBuffer(header), MemorySegment.ofBuffer(documents)));
        writeFully(channel, documents, TokenFile.documentsAt(tokens, width));
        writeFully(channel, header, 0);
    }

    private ByteBuffer header(String corpusFingerprint, byte[] contentFingerprint) {
        HexFormat hex = HexFormat.of();
        return ByteBuffer.allocate(TokenFile.HEADER_BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(TokenFile.MAGIC)
                .putInt(TokenFile.VERSION)
                .putInt(width)
                .putLong(tokens)
                .putLong(documents.limit() / TokenFile.DOCUMENT_BYTES)
                .putInt(tokenizer.vocabSize())
                .putInt(0)
                .put(hex.parseHex(tokenizer.fingerprint()))
                .put(hex.parseHex(corpusFingerprint))
                .put(contentFingerprint)
                .flip();
    }

    private void add(Document document, FileChannel channel) throws IOException {
        long before = tokens;
        long bytes;
        try (InputStream in = document.open()) {
            TokenReader reader = new TokenReader(tokenizer, in, pieceBytes, MOST_BYTES);
            while (!reader.isDone()) {
                put(next(document, reader), channel);
            }
            bytes = reader.bytesRead();
        }
        if (tokens > before) {
            if (documents.remaining() < TokenFile.DOCUMENT_BYTES) {
                documents = ByteBuffer.allocate(Math.multiplyExact(2, documents.capacity()))
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .put(documents.flip());
            }
            documents.putLong(tokens).putLong(bytes).putLong(nameHash(document.name()));
        }
    }

    /** Errors of reading concern the document, those of writing the token file: they must not be mixed up. */
    private static int[] next(Document document, TokenReader reader) {
        int[] ids;
        try {
            ids = reader.next();
        } catch (IOException e) {
            throw document.unreadable(e);
        }
        if (reader.uncertainCuts() > 0) {
            throw new UserError(document.location() + " has 2 GiB without a place to cut it for the tokenizer: "
                    + "put line breaks into it or cut it into files");
        }
        return ids;
    }

    static long nameHash(String name) {
        return ByteBuffer.wrap(new Fingerprint()
                        .add(ByteBuffer.wrap(name.getBytes(StandardCharsets.UTF_8)))
                        .bytes())
                .getLong();
    }

    private void put(int[] ids, FileChannel channel) throws IOException {
        for (int id : ids) {
            if (buffer.remaining() < Integer.BYTES) {
                flush(channel);
            }
            switch (width) {
                case 1 -> buffer.put((byte) id);
                case 2 -> buffer.putShort((short) id);
                default -> buffer.putInt(id);
            }
        }
        tokens += ids.length;
    }

    private void flush(FileChannel channel) throws IOException {
        buffer.flip();
        content.add(buffer.duplicate());
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
        buffer.clear();
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes, long position) throws IOException {
        long at = position;
        while (bytes.hasRemaining()) {
            at += channel.write(bytes, at);
        }
    }
}
