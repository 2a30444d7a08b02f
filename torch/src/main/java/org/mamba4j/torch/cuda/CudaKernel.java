package org.mamba4j.torch.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * One {@code extern "C"} kernel of ours, ready to launch. It takes one parameter, a plain struct passed by value, so that
 * a launch copies one block of memory whatever the number of fields.
 */
public final class CudaKernel {
    /** Up to 48 KB need no leave, but a kernel's static shared memory, which is not known here, counts too. */
    private static final int SHARED_WITHOUT_LEAVE = 16 * 1024;

    /** Leave for exactly 48 KB counts as none, and then there is no room for static shared memory beside it. */
    private static final int LEAST_LEAVE = 64 * 1024;

    private final MemorySegment function;
    private int allowedShared = SHARED_WITHOUT_LEAVE;

    CudaKernel(MemorySegment function) {
        this.function = function;
    }

    /**
     * Launches on libtorch's current stream of the current device. Asynchronous: the tensors whose addresses the
     * parameters hold must live until the stream is past it, which libtorch's caching allocator guarantees for tensors
     * of that stream.
     *
     * @param parameterBytes size of the kernel's struct
     * @param fill writes the struct's fields
     */
    public void launch(LaunchShape shape, long parameterBytes, Consumer<StructWriter> fill) {
        allow(shape.sharedBytes());
        try (Arena arena = Arena.ofConfined();
                CUDAStream current = torch_cuda.getCurrentCUDAStream()) {
            MemorySegment struct = arena.allocate(parameterBytes, 16);
            StructWriter writer = new StructWriter(struct);
            fill.accept(writer);
            writer.finish();
            MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS);
            pointers.set(ValueLayout.ADDRESS, 0, struct);
            Driver.launch(function, shape, address(current), pointers);
        }
    }

    private synchronized void allow(int sharedBytes) {
        if (sharedBytes > allowedShared) {
            Driver.allowSharedMemory(function, Math.max(sharedBytes, LEAST_LEAVE));
            allowedShared = sharedBytes;
        }
    }

    static MemorySegment address(CUDAStream stream) {
        CUstream_st handle = stream.stream();
        // The default stream's handle is the null pointer, which the binding returns as null.
        return handle == null ? MemorySegment.NULL : MemorySegment.ofAddress(handle.address());
    }
}
