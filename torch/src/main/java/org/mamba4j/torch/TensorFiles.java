package org.mamba4j.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.checkpoint.TensorInfo;
import org.mamba4j.model.Shape;

/** Between safetensors files and libtorch's tensors. */
public final class TensorFiles {
    private static final int BUFFER = 1 << 16;

    private TensorFiles() {}

    /**
     * A copy of a tensor in a file: floating types as float32, the others as int64.
     *
     * @throws org.mamba4j.UserError if there is no such tensor
     */
    public static Tensor read(SafetensorsFile file, String name) {
        TensorInfo info = file.info(name);
        long[] shape = info.shape().toArray();
        if (!info.dtype().isFloating()) {
            return Tensors.of(file.longs(name), shape);
        }
        Tensor tensor = Tensors.empty(ScalarType.Float, shape);
        fill(tensor, info.dtype(), file.data(name));
        return tensor;
    }

    /**
     * Overwrites a float32 tensor on any device.
     *
     * @param target contiguous
     * @param dtype what {@code data} holds, in the order and number of {@code target}'s elements
     */
    public static void fill(Tensor target, DType dtype, MemorySegment data) {
        if (target.is_cuda()) {
            TensorScope.run(() -> {
                Tensor copy = Tensors.empty(ScalarType.Float, target.shape());
                fill(copy, dtype, data);
                target.detach().copy_(copy);
            });
            return;
        }
        MemorySegment memory = Tensors.segment(target);
        if (dtype == DType.F32) {
            memory.copyFrom(data);
            return;
        }
        float[] buffer = new float[BUFFER];
        long elements = target.numel();
        for (long from = 0; from < elements; from += BUFFER) {
            int count = (int) Math.min(BUFFER, elements - from);
            dtype.toFloats(data, from, buffer, 0, count);
            MemorySegment.copy(buffer, 0, memory, ValueLayout.JAVA_FLOAT, Float.BYTES * from, count);
        }
    }

    /**
     * A float32 tensor as something to write; its memory is read when its turn comes, and must be there then.
     *
     * @param tensor contiguous
     */
    public static SafetensorsWriter.Tensor toWrite(String name, Tensor tensor) {
        return new SafetensorsWriter.Tensor(name, DType.F32, Shape.of(tensor.shape()), () -> content(tensor));
    }

    private static MemorySegment content(Tensor tensor) {
        return tensor.is_cuda() ? MemorySegment.ofArray(Tensors.toFloats(tensor)) : Tensors.segment(tensor);
    }
}
