package org.mamba4j.torch.cuda;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * A sequence of kernels recorded once and replayed with one call: where a step's kernels are small, launching them one
 * by one takes longer than running them.
 *
 * <p>A replay reads and writes the very addresses that were recorded. Tensors that exist before are the caller's to keep
 * in place; what the work itself allocates comes from a pool that this graph alone owns, so nothing else is ever given
 * that memory, and tensors made while recording keep their meaning from replay to replay until {@link #close}.
 *
 * <p>Recording may run a backward pass: libtorch's own thread then records on the same stream. No graph of an earlier pass
 * over the same parameters may be alive then (close its scope): its nodes stay on the stream that it was made on.
 */
public final class CapturedGraph implements AutoCloseable {
    /** One stream per device for all recordings: libtorch keeps a matrix product's workspace for each stream it sees. */
    private static final Map<Byte, CUDAStream> STREAMS = new ConcurrentHashMap<>();

    private final MemorySegment executable;
    private final GraphMemory memory;
    private boolean closed;

    private CapturedGraph(MemorySegment executable, GraphMemory memory) {
        this.executable = executable;
        this.memory = memory;
    }

    /**
     * Runs {@code work} on the stream that {@link #record} uses, and waits for it. To be called once or more before
     * recording the same work: libraries choose algorithms and allocate workspaces when they are first called.
     */
    public static void rehearse(Runnable work) {
        onCaptureStream(stream -> work.run());
        torch_cuda.device_synchronize();
    }

    /**
     * Records what {@code work} launches on libtorch's current stream; nothing runs. The work must not wait for the GPU
     * or read results, and must have run once before, see {@link #rehearse}.
     *
     * @throws IllegalStateException if the work did something that cannot be recorded
     */
    public static CapturedGraph record(Runnable work) {
        CapturedGraph[] graph = new CapturedGraph[1];
        onCaptureStream(stream -> graph[0] = record(stream, work));
        return graph[0];
    }

    private static CapturedGraph record(MemorySegment stream, Runnable work) {
        GraphMemory memory = GraphMemory.begin(stream);
        boolean complete = false;
        try {
            MemorySegment graph;
            Driver.beginCapture(stream);
            try {
                work.run();
            } finally {
                graph = Driver.endCapture(stream);
            }
            CapturedGraph recorded = new CapturedGraph(Driver.instantiate(graph), memory);
            complete = true;
            return recorded;
        } finally {
            memory.end();
            if (!complete) {
                memory.release();
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

    /** Waits for the GPU, then frees the graph and the memory that its work allocated. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            torch_cuda.device_synchronize();
            Driver.destroyGraph(executable);
            memory.release();
        }
    }

    /** What is done on the stream whose handle it is given. */
    private interface StreamWork {
        void run(MemorySegment stream);
    }

    private static void onCaptureStream(StreamWork work) {
        CUDAStream side = STREAMS.computeIfAbsent(torch_cuda.current_device(), device -> {
            CUDAStream stream = torch_cuda.getStreamFromPool();
            stream.retainReference(); // outlives any scope that is open now
            return stream;
        });
        try (CUDAStream before = torch_cuda.getCurrentCUDAStream()) {
            torch_cuda.device_synchronize();
            torch_cuda.setCurrentCUDAStream(side);
            try {
                work.run(CudaKernel.address(side));
            } finally {
                torch_cuda.setCurrentCUDAStream(before);
            }
        }
    }
}
