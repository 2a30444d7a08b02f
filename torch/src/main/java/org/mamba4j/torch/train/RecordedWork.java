package org.mamba4j.torch.train;

import java.lang.System.Logger.Level;
import java.util.Optional;
import org.mamba4j.torch.cuda.CapturedGraph;
import org.mamba4j.torch.cuda.GpuMemory;

/**
 * Work on a GPU that is done again and again: launched kernel by kernel the first time, recorded the second, replayed from
 * then on. Where it cannot be recorded it goes on being launched, and the log says so once.
 */
final class RecordedWork implements AutoCloseable {
    /** Does nothing. */
    static final RecordedWork NONE = new RecordedWork("nothing", () -> {});

    private static final System.Logger LOG = System.getLogger(RecordedWork.class.getName());

    private final String name;
    private final Runnable work;
    private Optional<CapturedGraph> graph = Optional.empty();
    private boolean rehearsed;
    private boolean givenUp;

    /**
     * @param name for the log
     * @param work always the same kernels on the same memory; must not wait for the GPU
     */
    RecordedWork(String name, Runnable work) {
        this.name = name;
        this.work = work;
    }

    /** Does it once, on libtorch's current stream. */
    void run() {
        if (givenUp) {
            work.run();
            return;
        }
        if (!rehearsed) {
            CapturedGraph.rehearse(work);
            rehearsed = true;
            return;
        }
        if (graph.isEmpty()) {
            record();
        }
        graph.ifPresentOrElse(CapturedGraph::replay, work);
    }

    private void record() {
        try {
            GpuMemory.releaseUnused(); // what the rehearsal used is of no use to the recording
            graph = Optional.of(CapturedGraph.record(work));
        } catch (RuntimeException e) {
            givenUp = true;
            LOG.log(
                    Level.WARNING,
                    name + " cannot be recorded as a CUDA graph (" + e.getMessage()
                            + "): launching its kernels one by one, which is slower for small models");
        }
    }

    @Override
    public void close() {
        graph.ifPresent(CapturedGraph::close);
        graph = Optional.empty();
    }
}
