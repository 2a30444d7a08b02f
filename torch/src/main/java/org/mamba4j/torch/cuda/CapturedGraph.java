package org.mamba4j.torch.cuda;

import java.lang.foreign.MemorySegment;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * A sequence of kernels recorded once and replayed with one call: where a step's kernels are small, launching them one
 * by one takes longer than running them. Everything that the recorded kernels read and write must keep its address, so
 * a recorded step works on tensors allocated before.
 */
public final class CapturedGraph implements AutoCloseable {
    private final MemorySegment executable;
    private boolean closed;

    private CapturedGraph(MemorySegment executable) {
        this.executable = executable;
    }

    /**
     * Records what {@code work} launches on a stream of its own; nothing runs yet. {@code work} must not synchronise with
     * the host, and must have run once before, so that libraries have set themselves up.
     */
    public static CapturedGraph record(Runnable work) {
        try (CUDAStream before = torch_cuda.getCurrentCUDAStream();
                CUDAStream side = torch_cuda.getStreamFromPool()) {
            torch_cuda.device_synchronize();
            torch_cuda.setCurrentCUDAStream(side);
            MemorySegment stream = CudaKernel.address(side);
            try {
                Driver.beginCapture(stream);
                MemorySegment executable;
                try {
                    work.run();
                } finally {
                    executable = Driver.endCapture(stream);
                }
                return new CapturedGraph(executable);
            } finally {
                torch_cuda.setCurrentCUDAStream(before);
            }
        }
    }

    /** Runs the recorded kernels once, on libtorch's current stream. */
    public void replay() {
        if (closed) {
            throw new IllegalStateException("the captured graph is closed");
        }
        try (CUDAStream current = torch_cuda.getCurrentCUDAStream()) {
            Driver.launchGraph(executable, CudaKernel.address(current));
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Driver.destroyGraph(executable);
        }
    }
}
