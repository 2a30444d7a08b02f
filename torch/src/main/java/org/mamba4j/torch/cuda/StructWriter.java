package org.mamba4j.torch.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.bytedeco.pytorch.Tensor;

/** Writes the fields of a C struct one after another, each aligned to its own size as C does. */
public final class StructWriter {
    private final MemorySegment struct;
    private long at;

    StructWriter(MemorySegment struct) {
        this.struct = struct;
    }

    /** A device pointer: the address of {@code tensor}'s first element, null where it is absent or has none. */
    public StructWriter pointer(Tensor tensor) {
        return int64(tensor.defined() && tensor.numel() > 0 ? tensor.data_ptr().address() : 0);
    }

    /** How many elements lie between batches, and between steps, of a tensor (B, L, …); 0 where it is absent. */
    public StructWriter strides(Tensor tensor) {
        return tensor.defined() ? int64(tensor.stride(0)).int64(tensor.stride(1)) : int64(0).int64(0);
    }

    /** A null device pointer: an optional input or output that is not used. */
    public StructWriter absent() {
        return int64(0);
    }

    /** A {@code long long}. */
    public StructWriter int64(long value) {
        align(Long.BYTES);
        struct.set(ValueLayout.JAVA_LONG, at, value);
        at += Long.BYTES;
        return this;
    }

    /** An {@code int}. */
    public StructWriter int32(int value) {
        align(Integer.BYTES);
        struct.set(ValueLayout.JAVA_INT, at, value);
        at += Integer.BYTES;
        return this;
    }

    /** A {@code float}. */
    public StructWriter float32(float value) {
        align(Float.BYTES);
        struct.set(ValueLayout.JAVA_FLOAT, at, value);
        at += Float.BYTES;
        return this;
    }

    /** A {@code double}. */
    public StructWriter float64(double value) {
        align(Double.BYTES);
        struct.set(ValueLayout.JAVA_DOUBLE, at, value);
        at += Double.BYTES;
        return this;
    }

    void finish() {
        align(Long.BYTES);
        if (at != struct.byteSize()) {
            throw new IllegalStateException(
                    "kernel parameters: " + at + " bytes written, the struct has " + struct.byteSize());
        }
    }

    private void align(int size) {
        at = (at + size - 1) / size * size;
    }
}
