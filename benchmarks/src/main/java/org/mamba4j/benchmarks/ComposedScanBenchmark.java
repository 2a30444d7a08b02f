package org.mamba4j.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.kernel.Workers;
import org.mamba4j.kernel.vector.VectorKernels;
import org.mamba4j.torch.kernel.ComposedScan;
import org.mamba4j.torch.kernel.FusedScan;
import org.mamba4j.torch.kernel.SelectiveScan;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Forward plus backward of one layer's scan as libtorch sees it, B = 1, D = 1536, L = 2048, N = 16, two threads: fused, and
 * composed of libtorch's operations in the fastest form found (a loop over unbound, L-major slices). The inputs are
 * made before; each call takes leaves of its own that share their memory.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 10)
@Measurement(iterations = 3, time = 10)
public class ComposedScanBenchmark {
    private static final int LENGTH = 2048;
    private static final int THREADS = 2;

    /** Which form. */
    @Param({"fused", "composed"})
    public String form = "";

    private final ScanLayer layer = new ScanLayer(LENGTH);
    private SelectiveScan scan = ComposedScan.unbound();

    /** Compares outputs and gradients of both forms. */
    @Setup
    public void setUp() {
        torch.set_num_threads(THREADS);
        SelectiveScan fused = new FusedScan(new VectorKernels(new Workers(THREADS)));
        List<float[]> actual = layer.run(fused, true);
        List<float[]> expected = layer.run(ComposedScan.unbound(), true);
        for (int i = 0; i < expected.size(); i++) {
            Answers.assertClose("result " + i, actual.get(i), expected.get(i));
        }
        scan = form.equals("fused") ? fused : ComposedScan.unbound();
    }

    @Benchmark
    public void forwardAndBackward() {
        layer.run(scan, false);
    }
}
