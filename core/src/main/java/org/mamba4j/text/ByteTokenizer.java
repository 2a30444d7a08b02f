package org.mamba4j.text;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;
import org.mamba4j.Fingerprint;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;

/** 256 tokens, one per byte: reads anything, needs no file. */
record ByteTokenizer() implements Tokenizer {
    private static final int SIZE = 256;

    @Override
    public int[] encode(String text) {
        return encode(text.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public int[] encode(byte[] bytes) {
        int[] ids = new int[bytes.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = bytes[i] & 0xFF;
        }
        return ids;
    }

    @Override
    public byte[] bytes(int token) {
        return new byte[] {checked(token)};
    }

    @Override
    public String decode(int[] tokens) {
        byte[] bytes = new byte[tokens.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = checked(tokens[i]);
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static byte checked(int token) {
        if (token < 0 || token >= SIZE) {
            throw new UserError("token " + token + " is not in the vocabulary of bytes: ids are 0 to 255");
        }
        return (byte) token;
    }

    @Override
    public int vocabSize() {
        return SIZE;
    }

    @Override
    public String fingerprint() {
        return new Fingerprint().add("bytes").hex();
    }

    @Override
    public int splitPoint(byte[] bytes, int length) {
        return Objects.checkFromIndexSize(0, length, bytes.length) + length;
    }

    @Override
    public void save(Path folder) {
        AtomicFile.writeString(
                folder.resolve(Tokenizers.CONFIG_FILE),
                "{\n  \"tokenizer_class\": \"" + Tokenizers.BYTES_CLASS + "\"\n}\n");
    }
}
