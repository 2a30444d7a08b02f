package org.mamba4j.torch.cuda;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.cuda.CUDAAllocator;
import org.bytedeco.pytorch.cuda.DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair;
import org.bytedeco.pytorch.cuda.StreamFilter;
import org.bytedeco.pytorch.global.torch_cuda;
import org.jspecify.annotations.Nullable;

/**
 * The private pool of libtorch's caching allocator that one captured graph's tensors live in.
 *
 * <p>A pool's name is a pair of 64-bit numbers. The binding declares it as another pair, which has a destructor that would
 * free what is none of ours; so the numbers lie in memory of this class, and the binding sees only their address.
 */
final class GraphMemory {
    /** libtorch numbers its own pools from 1. */
    private static final AtomicLong NEXT = new AtomicLong(1L << 40);

    private final byte device;
    private final LongPointer numbers;
    private final DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair name;
    private final StreamFilter filter;

    private GraphMemory(byte device, long stream) {
        this.device = device;
        this.numbers = new LongPointer(0L, NEXT.getAndIncrement());
        this.name = new DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair(numbers);
        this.filter = new OneStream(stream);
        // These outlive any scope that is open now.
        numbers.retainReference();
        name.retainReference();
        filter.retainReference();
    }

    /** From now until {@link #end}, what is allocated for {@code stream} of the current device comes from a new pool. */
    static GraphMemory begin(MemorySegment stream) {
        GraphMemory memory = new GraphMemory(torch_cuda.current_device(), stream.address());
        torch_cuda.beginAllocateToPool(memory.device, memory.name, memory.filter);
        return memory;
    }

    void end() {
        torch_cuda.endAllocateToPool(device, name);
        filter.releaseReference();
    }

    /** Gives the memory back, once the tensors in it are gone. */
    void release() {
        try (CUDAAllocator allocator = torch_cuda.getAllocator()) {
            allocator.releasePool(device, name);
        }
        name.releaseReference();
        numbers.releaseReference();
    }

    /** Whether an allocation is for the stream that is being recorded; called by libtorch, from any of its threads. */
    private static final class OneStream extends StreamFilter {
        private final long stream;

        OneStream(long stream) {
            this.stream = stream;
        }

        @Override
        public boolean call(@Nullable Pointer other) {
            return other != null && other.address() == stream;
        }
    }
}
