package org.mamba4j.checkpoint;

import java.nio.ByteBuffer;
import org.mamba4j.Fingerprint;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;

/**
 * A short text that tells one model from another, so that a state is not continued by a model that did not make it.
 *
 * <p>It is a hash of every parameter's name and shape and of up to {@value #SAMPLES} of its values, as float32, spread
 * evenly. Reading all values of a great model would take longer than loading a state; training changes nearly all of
 * them, so a sample tells two checkpoints of one run apart. It is no protection against somebody who wants to deceive.
 */
public final class ModelFingerprint {
    private static final int SAMPLES = 256;
    private static final int DIGITS = 32;

    private ModelFingerprint() {}

    /** Gives single values of parameters. */
    @FunctionalInterface
    public interface Weights {
        /** Element {@code index}, rows contiguous, of the parameter with that canonical name. */
        float get(String name, long index);
    }

    /** The fingerprint of a model: equal for equal parameters, whatever files or engine hold them. */
    public static String of(ModelConfig config, Weights weights) {
        Fingerprint fingerprint = new Fingerprint().add(config.modelType());
        ByteBuffer buffer = ByteBuffer.allocate(SAMPLES * Float.BYTES);
        for (TensorSpec spec : config.parameters()) {
            fingerprint.add(spec.name() + spec.shape());
            long elements = spec.shape().elements();
            int samples = (int) Math.min(SAMPLES, elements);
            buffer.clear();
            for (int i = 0; i < samples; i++) {
                buffer.putFloat(weights.get(spec.name(), Math.multiplyExact(elements, (long) i) / samples));
            }
            fingerprint.add(buffer.flip());
        }
        return fingerprint.hex().substring(0, DIGITS);
    }
}
