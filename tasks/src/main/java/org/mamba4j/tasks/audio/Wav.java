package org.mamba4j.tasks.audio;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;

/**
 * Sound as a WAV file holds it: linear PCM, 16 bit, one channel (RIFF [1]).
 *
 * <p>Reference: [1] IBM, Microsoft: Multimedia Programming Interface and Data Specifications 1.0, 1991.
 */
public final class Wav {
    private static final int HEADER = 44;
    private static final int FORMAT_BYTES = 16;
    private static final int PCM = 1;
    private static final int EXTENSIBLE = 0xFFFE;
    private static final float FULL_SCALE = 32768;

    private final int rate;
    private final float[] samples;

    /**
     * @param rate samples per second, in Hz
     * @param samples in [-1, 1]; copied
     */
    public Wav(int rate, float[] samples) {
        this.rate = rate;
        this.samples = samples.clone();
    }

    /** Samples per second, in Hz. */
    public int rate() {
        return rate;
    }

    /** In [-1, 1]; a copy. */
    public float[] samples() {
        return samples.clone();
    }

    /** Number of samples. */
    public int length() {
        return samples.length;
    }

    /**
     * Reads a file.
     *
     * @throws UserError if it cannot be read, is no WAV file, is cut off, or is of another kind than 16 bit mono PCM
     */
    public static Wav read(Path file) {
        try {
            return parse(ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN), file);
        } catch (IOException e) {
            throw new UserError(file + " cannot be read (" + e.getMessage() + "): check the path", e);
        }
    }

    private static Wav parse(ByteBuffer bytes, Path file) {
        if (bytes.remaining() < 12
                || !name(bytes, 0).equals("RIFF")
                || !name(bytes, 8).equals("WAVE")) {
            throw new UserError(file + " is no WAV file: it does not begin with RIFF and WAVE");
        }
        int rate = 0;
        for (long at = 12; at + 8 <= bytes.limit(); ) {
            String chunk = name(bytes, (int) at);
            long size = Integer.toUnsignedLong(bytes.getInt((int) at + 4));
            long content = at + 8;
            if (content + size > bytes.limit()) {
                throw new UserError(file + " is cut off: its part '" + chunk + "' at byte " + at + " has " + size
                        + " bytes, but the file ends after " + (bytes.limit() - content) + " of them: fetch it again");
            }
            if (chunk.equals("fmt ")) {
                rate = rate(bytes, (int) content, size, file);
            } else if (chunk.equals("data")) {
                if (rate == 0) {
                    throw new UserError(file + " has samples before its format: fetch it again");
                }
                return new Wav(rate, samples(bytes, (int) content, (int) size / 2));
            }
            at = content + size + (size & 1); // chunks begin at even places
        }
        throw new UserError(file + " has no samples: it has no part 'data'");
    }

    private static String name(ByteBuffer bytes, int at) {
        byte[] four = new byte[4];
        bytes.get(at, four);
        return new String(four, StandardCharsets.ISO_8859_1);
    }

    private static int rate(ByteBuffer bytes, int at, long size, Path file) {
        if (size < FORMAT_BYTES) {
            throw new UserError(file + ": its part 'fmt ' has " + size + " bytes, must have " + FORMAT_BYTES);
        }
        int format = Short.toUnsignedInt(bytes.getShort(at));
        int channels = bytes.getShort(at + 2);
        int bits = bytes.getShort(at + 14);
        if ((format != PCM && format != EXTENSIBLE) || channels != 1 || bits != 16) {
            throw new UserError(file + " has format " + format + ", " + channels + " channels and " + bits
                    + " bits: only 16 bit PCM of one channel is read; convert it");
        }
        int rate = bytes.getInt(at + 4);
        if (rate < 1) {
            throw new UserError(file + " has " + rate + " samples per second");
        }
        return rate;
    }

    private static float[] samples(ByteBuffer bytes, int at, int count) {
        float[] samples = new float[count];
        for (int i = 0; i < count; i++) {
            samples[i] = bytes.getShort(at + 2 * i) / FULL_SCALE;
        }
        return samples;
    }

    /**
     * Writes a file, atomically.
     *
     * @throws UserError if it cannot be written
     */
    public void write(Path file) {
        ByteBuffer bytes = ByteBuffer.allocate(HEADER + 2 * samples.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put(ascii("RIFF")).putInt(HEADER - 8 + 2 * samples.length).put(ascii("WAVE"));
        bytes.put(ascii("fmt ")).putInt(FORMAT_BYTES).putShort((short) PCM).putShort((short) 1);
        bytes.putInt(rate).putInt(2 * rate).putShort((short) 2).putShort((short) 16);
        bytes.put(ascii("data")).putInt(2 * samples.length);
        for (float sample : samples) {
            bytes.putShort((short) Math.clamp(Math.round(sample * FULL_SCALE), Short.MIN_VALUE, Short.MAX_VALUE));
        }
        AtomicFile.makeFolderOf(file);
        AtomicFile.writeBytes(file, bytes.array());
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
