package org.mamba4j.torch.cuda;

import org.bytedeco.pytorch.SizeTPair;
import org.bytedeco.pytorch.cuda.CUDAAllocator;
import org.bytedeco.pytorch.global.torch_cuda;

/** The memory of the current GPU, and what libtorch's allocator keeps of it for later. */
public final class GpuMemory {
    private GpuMemory() {}

    /** Bytes that no process uses; what libtorch keeps counts as used. */
    public static long free() {
        try (CUDAAllocator allocator = torch_cuda.getAllocator();
                SizeTPair info = allocator.getMemoryInfo(torch_cuda.current_device())) {
            return info.first();
        }
    }

    /** Gives back what libtorch keeps without using it. */
    public static void releaseUnused() {
        try (CUDAAllocator allocator = torch_cuda.getAllocator()) {
            allocator.emptyCache();
        }
    }
}
