package org.mamba4j.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;

/**
 * A short text that tells one model from another, so that a state is not continued by a model that did not make it.
 *
 * <p>It is a hash of every parameter's name and shape and of up to {@value #SAMPLES} of its values, as float32, spread
 * evenly. Reading all values of a great model would take longer than loading a state; training changes nearly all of
 * them, so a sample tells two checkpoints of one run apart. It is no protection against somebody who wants to deceive.
 */
public final class Fingerprint {
    private static final int SAMPLES = 256;

    private Fingerprint() {}

    /** Gives single values of parameters. */
    @FunctionalInterface
    public interface Weights {
        /** Element {@code index}, rows contiguous, of the parameter with that canonical name. */
        float get(String name, long index);
    }

    /** The fingerprint of a model: equal for equal parameters, whatever files or engine hold them. */
    public static String of(ModelConfig config, Weights weights) {
        MessageDigest digest = sha256();
        digest.update(config.modelType().getBytes(StandardCharsets.UTF_8));
        ByteBuffer buffer = ByteBuffer.allocate(SAMPLES * Float.BYTES);
        for (TensorSpec spec : config.parameters()) {
            digest.update((spec.name() + spec.shape()).getBytes(StandardCharsets.UTF_8));
            long elements = spec.shape().elements();
            int samples = (int) Math.min(SAMPLES, elements);
            buffer.clear();
            for (int i = 0; i < samples; i++) {
                buffer.putFloat(weights.get(spec.name(), Math.multiplyExact(elements, (long) i) / samples));
            }
            digest.update(buffer.flip());
        }
        return HexFormat.of().formatHex(digest.digest(), 0, 16);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
