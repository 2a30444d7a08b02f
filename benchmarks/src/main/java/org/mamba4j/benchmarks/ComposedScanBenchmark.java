package org.mamba4j.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.kernel.Workers;
import org.mamba4j.kernel.vector.VectorKernels;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.ComposedScan;
import org.mamba4j.torch.kernel.FusedScan;
import org.mamba4j.torch.kernel.ScanInputs;
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
    private static final int CHANNELS = 1536;
    private static final int STATES = 16;
    private static final int THREADS = 2;

    /** Which form. */
    @Param({"fused", "composed"})
    public String form = "";

    private final Random random = new Random(1);
    private final List<Tensor> values = new ArrayList<>();
    private Tensor gradY = Tensors.absent();
    private SelectiveScan scan = ComposedScan.unbound();

    /** Compares outputs and gradients of both forms. */
    @Setup
    public void setUp() {
        torch.set_num_threads(THREADS);
        makeInputs();
        SelectiveScan fused = new FusedScan(new VectorKernels(new Workers(THREADS)));
        List<float[]> actual = run(fused, true);
        List<float[]> expected = run(ComposedScan.unbound(), true);
        for (int i = 0; i < expected.size(); i++) {
            Answers.assertClose("result " + i, actual.get(i), expected.get(i));
        }
        scan = form.equals("fused") ? fused : ComposedScan.unbound();
    }

    @Benchmark
    public void forwardAndBackward() {
        run(scan, false);
    }

    private List<float[]> run(SelectiveScan scan, boolean results) {
        List<float[]> arrays = new ArrayList<>();
        TensorScope.run(() -> {
            List<Tensor> leaves = new ArrayList<>();
            values.forEach(value -> leaves.add(value.detach().requires_grad_(true)));
            ScanInputs inputs = ScanInputs.of(leaves.get(0), leaves.get(1), leaves.get(2), leaves.get(3), leaves.get(4))
                    .withSkip(leaves.get(5))
                    .withDeltaBias(leaves.get(6))
                    .withGate(leaves.get(7))
                    .withSoftplus(true);
            Tensor y = scan.apply(inputs, false).y();
            y.backward(gradY, new BoolOptional(), false, new TensorArrayRefOptional());
            if (results) {
                arrays.add(Tensors.toFloats(y));
                leaves.forEach(leaf -> arrays.add(Tensors.toFloats(leaf.grad())));
            }
        });
        return arrays;
    }

    /** In the order of {@link ScanInputs}: u, delta, a, b, c, d, deltaBias, z. */
    private void makeInputs() {
        gradY = normal(1, 0, 1, LENGTH, CHANNELS);
        values.add(normal(1, 0, 1, LENGTH, CHANNELS));
        values.add(normal(1, 0, 1, LENGTH, CHANNELS));
        values.add(negative(normal(1, 0, CHANNELS, STATES)));
        values.add(normal(1, 0, 1, LENGTH, STATES));
        values.add(normal(1, 0, 1, LENGTH, STATES));
        values.add(normal(1, 0, CHANNELS));
        values.add(normal(1, -4, CHANNELS));
        values.add(normal(1, 0, 1, LENGTH, CHANNELS));
    }

    private Tensor normal(float scale, float shift, long... shape) {
        int size = 1;
        for (long axis : shape) {
            size *= (int) axis;
        }
        float[] array = new float[size];
        for (int i = 0; i < size; i++) {
            array[i] = scale * (float) random.nextGaussian() + shift;
        }
        try (TensorScope scope = new TensorScope()) {
            return scope.release(Tensors.of(array, shape));
        }
    }

    private static Tensor negative(Tensor tensor) {
        TensorScope.run(() -> tensor.abs_().exp_().neg_());
        return tensor;
    }
}
