package org.mamba4j.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Between Java's arrays and memory segments and libtorch's tensors. */
public final class Tensors {
    private Tensors() {}

    /** The tensor that is not there: libtorch's own way to leave an optional input out ({@code defined()} is false). */
    public static Tensor absent() {
        return Absent.TENSOR;
    }

    /** A tensor of the given type and shape on the CPU, its content arbitrary. */
    public static Tensor empty(ScalarType type, long... shape) {
        Torch.load();
        try (TensorScope scope = new TensorScope()) {
            return scope.promote(torch.empty(shape, new TensorOptions(type), new MemoryFormatOptional()));
        }
    }

    /** A contiguous tensor of the shape, type and device of {@code tensor}, its content arbitrary. */
    public static Tensor emptyLike(Tensor tensor) {
        return emptyLike(tensor, tensor.scalar_type().intern(), tensor.shape());
    }

    /** A contiguous tensor on the device of {@code tensor}, its content arbitrary. */
    public static Tensor emptyLike(Tensor tensor, ScalarType type, long... shape) {
        try (TensorScope scope = new TensorScope()) {
            TensorOptions options = tensor.options().dtype(new ScalarTypeOptional(type));
            return scope.promote(torch.empty(shape, options, new MemoryFormatOptional()));
        }
    }

    /** Float32 zeros on the CPU. */
    public static Tensor zeros(long... shape) {
        Tensor tensor = empty(ScalarType.Float, shape);
        tensor.zero_();
        return tensor;
    }

    /**
     * {@code tensor} on a device: itself where it is there already.
     *
     * @param device as {@link Devices#of} has it
     */
    public static Tensor on(String device, Tensor tensor) {
        boolean there = device.equals("cpu") ? !tensor.is_cuda() : tensor.is_cuda();
        return there ? tensor : tensor.to(Devices.of(device), tensor.scalar_type());
    }

    /** A float32 tensor with a copy of {@code values} in row-major order. */
    public static Tensor of(float[] values, long... shape) {
        checkCount(values.length, shape);
        Tensor tensor = empty(ScalarType.Float, shape);
        MemorySegment.copy(values, 0, segment(tensor), ValueLayout.JAVA_FLOAT, 0, values.length);
        return tensor;
    }

    /** An int64 tensor with a copy of {@code values} in row-major order. */
    public static Tensor of(long[] values, long... shape) {
        checkCount(values.length, shape);
        Tensor tensor = empty(ScalarType.Long, shape);
        MemorySegment.copy(values, 0, segment(tensor), ValueLayout.JAVA_LONG, 0, values.length);
        return tensor;
    }

    /**
     * An int64 tensor of token ids.
     *
     * @param tokens row-major, as many as the shape says, from {@code from} on
     */
    public static Tensor ofTokens(int[] tokens, int from, long... shape) {
        int count = Math.toIntExact(count(shape));
        if (from < 0 || from + count > tokens.length) {
            throw new IllegalArgumentException("tokens [" + from + ", " + (from + count) + ") of " + tokens.length);
        }
        Tensor tensor = empty(ScalarType.Long, shape);
        MemorySegment memory = segment(tensor);
        for (int i = 0; i < count; i++) {
            memory.setAtIndex(ValueLayout.JAVA_LONG, i, tokens[from + i]);
        }
        return tensor;
    }

    /** The values of a float32 tensor in row-major order, whatever its strides and device. */
    public static float[] toFloats(Tensor tensor) {
        checkType(tensor, ScalarType.Float);
        return TensorScope.call(() -> {
            Tensor packed = tensor.detach().cpu().contiguous();
            float[] values = new float[Math.toIntExact(packed.numel())];
            MemorySegment.copy(segment(packed), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
            return values;
        });
    }

    /** The values of an int32 tensor in row-major order, whatever its strides and device. */
    public static int[] toInts(Tensor tensor) {
        checkType(tensor, ScalarType.Int);
        return TensorScope.call(() -> {
            Tensor packed = tensor.cpu().contiguous();
            int[] values = new int[Math.toIntExact(packed.numel())];
            MemorySegment.copy(segment(packed), ValueLayout.JAVA_INT, 0, values, 0, values.length);
            return values;
        });
    }

    /** The values of an int64 tensor in row-major order, whatever its strides and device. */
    public static long[] toLongs(Tensor tensor) {
        checkType(tensor, ScalarType.Long);
        return TensorScope.call(() -> {
            Tensor packed = tensor.cpu().contiguous();
            long[] values = new long[Math.toIntExact(packed.numel())];
            MemorySegment.copy(segment(packed), ValueLayout.JAVA_LONG, 0, values, 0, values.length);
            return values;
        });
    }

    /**
     * The memory of a contiguous CPU tensor, without a copy: writes are seen by both. Valid only while {@code tensor} is
     * open and reachable; the caller sees to that.
     */
    public static MemorySegment segment(Tensor tensor) {
        if (!tensor.is_contiguous()) {
            throw new IllegalArgumentException("a tensor of shape " + shape(tensor) + " is not contiguous (strides "
                    + Arrays.toString(tensor.strides().vec().get()) + "): call contiguous() first");
        }
        return memory(tensor, tensor.nbytes());
    }

    /**
     * The memory of a CPU tensor of any strides, from its first element to the end of its last one, without a copy.
     * Valid only while {@code tensor} is open and reachable.
     */
    public static MemorySegment stridedSegment(Tensor tensor) {
        long elements = tensor.numel() == 0 ? 0 : 1;
        for (int axis = 0; axis < tensor.dim() && elements > 0; axis++) {
            elements += (tensor.size(axis) - 1) * tensor.stride(axis);
        }
        return memory(tensor, elements * tensor.element_size());
    }

    /** The shape of {@code tensor} as errors print it, for example {@code [2, 64]}. */
    public static String shape(Tensor tensor) {
        return tensor.defined() ? Arrays.toString(tensor.shape()) : "absent";
    }

    /**
     * Checks a shape.
     *
     * @param what names the tensor in the message
     * @param shape the sizes wanted; -1 accepts any
     */
    public static void checkShape(String what, Tensor tensor, long... shape) {
        boolean fits = tensor.defined() && tensor.dim() == shape.length;
        for (int axis = 0; fits && axis < shape.length; axis++) {
            fits = shape[axis] == -1 || shape[axis] == tensor.size(axis);
        }
        if (!fits) {
            throw new IllegalArgumentException(what + " has shape " + shape(tensor) + ", wanted "
                    + Arrays.toString(shape).replace("-1", "any"));
        }
    }

    private static MemorySegment memory(Tensor tensor, long bytes) {
        if (tensor.is_cuda()) {
            throw new IllegalArgumentException("a tensor on a GPU has no memory segment: copy it to the CPU first");
        }
        if (bytes == 0) {
            return MemorySegment.NULL;
        }
        return reinterpret(tensor.data_ptr().address(), bytes);
    }

    @SuppressWarnings("restricted") // address and length come from libtorch itself
    private static MemorySegment reinterpret(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    private static void checkType(Tensor tensor, ScalarType wanted) {
        if (tensor.scalar_type().intern() != wanted) {
            throw new IllegalArgumentException(
                    "a tensor of " + tensor.scalar_type().intern() + " was given where " + wanted + " is needed");
        }
    }

    private static void checkCount(int values, long... shape) {
        if (values != count(shape)) {
            throw new IllegalArgumentException(values + " values for shape " + Arrays.toString(shape));
        }
    }

    private static long count(long... shape) {
        long count = 1;
        for (long size : shape) {
            count = Math.multiplyExact(count, size);
        }
        return count;
    }

    private static final class Absent {
        static final Tensor TENSOR;

        static {
            try (TensorScope scope = new TensorScope()) {
                TENSOR = scope.release(new Tensor());
            }
        }
    }
}
