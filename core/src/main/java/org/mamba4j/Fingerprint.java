package org.mamba4j;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The identity of some data: a SHA-256 over a sequence of values, each of them delimited. Not thread-safe. */
public final class Fingerprint {
    private final MessageDigest digest;

    /** Of nothing so far. */
    public Fingerprint() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** Adds a text and its length. */
    public Fingerprint add(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        add(bytes.length);
        digest.update(bytes);
        return this;
    }

    /** Adds a number. */
    public Fingerprint add(long value) {
        digest.update(ByteBuffer.allocate(Long.BYTES).putLong(0, value));
        return this;
    }

    /** Adds what remains in {@code bytes}, undelimited; the position is left at the limit. */
    public Fingerprint add(ByteBuffer bytes) {
        digest.update(bytes);
        return this;
    }

    /** 32 bytes; starts over. */
    public byte[] bytes() {
        return digest.digest();
    }

    /** 64 digits; starts over. */
    public String hex() {
        return HexFormat.of().formatHex(bytes());
    }
}
