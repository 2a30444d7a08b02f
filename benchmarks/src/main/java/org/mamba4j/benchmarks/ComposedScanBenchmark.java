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
 * composed of libtorch's operations in the fastest form found (a loop over unbound, L-major slices). Making the inputs is
 * part of what is timed, the same for both.
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

    private SelectiveScan scan = ComposedScan.unbound();

    /** Compares outputs and gradients of both forms. */
    @Setup
    public void setUp() {
        torch.set_num_threads(THREADS);
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

    private static List<float[]> run(SelectiveScan scan, boolean results) {
        List<float[]> arrays = new ArrayList<>();
        TensorScope.run(() -> {
            Inputs in = new Inputs();
            Tensor y = scan.apply(in.inputs(), false).y();
            y.backward(in.gradY, new BoolOptional(), false, new TensorArrayRefOptional());
            if (results) {
                arrays.add(Tensors.toFloats(y));
                in.leaves.forEach(leaf -> arrays.add(Tensors.toFloats(leaf.grad())));
            }
        });
        return arrays;
    }

    /** Leaves and what is made of them; the same values each time. */
    private static final class Inputs {
        private static final float[] NORMAL = normal();

        final List<Tensor> leaves = new ArrayList<>();
        final Tensor gradY = Tensors.of(values(LENGTH * CHANNELS, 1, 0), 1, LENGTH, CHANNELS);

        ScanInputs inputs() {
            float[] a = values(CHANNELS * STATES, 1, 0);
            for (int i = 0; i < a.length; i++) {
                a[i] = (float) -Math.exp(Math.abs(a[i]));
            }
            return ScanInputs.of(
                            leaf(values(LENGTH * CHANNELS, 1, 0), 1, LENGTH, CHANNELS),
                            leaf(values(LENGTH * CHANNELS, 1, 0), 1, LENGTH, CHANNELS),
                            leaf(a, CHANNELS, STATES),
                            leaf(values(LENGTH * STATES, 1, 0), 1, LENGTH, STATES),
                            leaf(values(LENGTH * STATES, 1, 0), 1, LENGTH, STATES))
                    .withSkip(leaf(values(CHANNELS, 1, 0), CHANNELS))
                    .withDeltaBias(leaf(values(CHANNELS, 1, -4), CHANNELS))
                    .withGate(leaf(values(LENGTH * CHANNELS, 1, 0), 1, LENGTH, CHANNELS))
                    .withSoftplus(true);
        }

        private Tensor leaf(float[] values, long... shape) {
            Tensor leaf = Tensors.of(values, shape);
            leaf.requires_grad_(true);
            leaves.add(leaf);
            return leaf;
        }

        private float[] values(int size, float scale, float shift) {
            float[] values = new float[size];
            for (int i = 0; i < size; i++) {
                values[i] = scale * NORMAL[(i + 31 * leaves.size()) % NORMAL.length] + shift;
            }
            return values;
        }

        private static float[] normal() {
            Random random = new Random(1);
            float[] values = new float[100_003];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) random.nextGaussian();
            }
            return values;
        }
    }
}
