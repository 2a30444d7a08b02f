package org.mamba4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.Shape;

/** A parameter where it lies, in a file of either format. */
interface StoredTensor {
    /** The file that it is in. */
    Path file();

    /** Its name there, type and shape; a quantised one is a matrix of bytes. */
    TensorInfo info();

    /** Its bytes, read-only, of {@link #info}'s shape. */
    MemorySegment data();

    /** Whether its numbers lie in blocks that share a scale. */
    boolean isQuantised();

    /**
     * What its numbers look like.
     *
     * @throws IllegalArgumentException if they are of a type that no kernel takes
     */
    WeightFormat format();

    default String name() {
        return info().name();
    }

    /** Number {@code index}, whatever its type. */
    default float get(long index) {
        return isQuantised() ? format().get(data(), index) : info().dtype().getFloat(data(), index);
    }

    /** A copy as floats, whatever the type. */
    default float[] floats() {
        long count = isQuantised()
                ? info().shape().elements() / format().bytes(WeightFormat.BLOCK) * WeightFormat.BLOCK
                : info().shape().elements();
        if (count > Integer.MAX_VALUE - 8) {
            throw new UserError(file() + ": tensor " + JsonText.quoted(name()) + " has " + count
                    + " elements, more than a Java array: read it through data()");
        }
        float[] values = new float[(int) count];
        if (isQuantised()) {
            MemorySegment data = data();
            for (int i = 0; i < values.length; i++) {
                values[i] = format().get(data, i);
            }
        } else {
            info().dtype().toFloats(data(), 0, values, 0, values.length);
        }
        return values;
    }

    /** @throws UserError unless it is stored in that shape */
    default void requireShape(Shape expected) {
        if (!info().shape().equals(expected)) {
            throw new UserError(file() + ": tensor " + JsonText.quoted(name()) + " has shape " + info().shape()
                    + ", but must have " + expected);
        }
    }

    /** What kernels call numbers of a type. */
    static WeightFormat format(TensorInfo info) {
        return switch (info.dtype()) {
            case F32 -> WeightFormat.F32;
            case BF16 -> WeightFormat.BF16;
            case F16 -> WeightFormat.F16;
            default -> throw new IllegalArgumentException(info.name() + " is " + info.dtype());
        };
    }

    /** One of a safetensors file, whose metadata says whether it is quantised; see {@link Quantiser}. */
    record InSafetensors(SafetensorsFile source, TensorInfo info) implements StoredTensor {
        @Override
        public Path file() {
            return source.path();
        }

        @Override
        public MemorySegment data() {
            return source.data(name());
        }

        @Override
        public boolean isQuantised() {
            return source.metadata().containsKey(Quantiser.METADATA + name());
        }

        @Override
        public WeightFormat format() {
            if (!isQuantised()) {
                return StoredTensor.format(info);
            }
            String format = String.valueOf(source.metadata().get(Quantiser.METADATA + name()));
            return switch (format) {
                case "Q8" -> WeightFormat.Q8;
                case "Q4" -> WeightFormat.Q4;
                default ->
                    throw new UserError(file() + ": tensor " + JsonText.quoted(name()) + " is in the format "
                            + JsonText.quoted(format) + ", which this program does not know");
            };
        }
    }
}
