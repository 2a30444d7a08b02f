package org.mamba4j.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SelectiveScan;

/** The inputs of one layer's scan, B = 1, D = 1536, N = 16, made once; each pass takes leaves that share their memory. */
final class ScanLayer {
    private static final int CHANNELS = 1536;
    private static final int STATES = 16;

    private final int length;
    private final Random random = new Random(1);
    private final Tensor gradY;

    /** In the order of {@link ScanInputs}: u, delta, a, b, c, d, deltaBias, z. */
    private final List<Tensor> values = new ArrayList<>();

    ScanLayer(int length) {
        this.length = length;
        gradY = normal(1, 0, 1, length, CHANNELS);
        makeInputs();
    }

    /**
     * One forward and backward pass.
     *
     * @param results whether to return y and the gradients of all inputs; an empty list otherwise
     */
    List<float[]> run(SelectiveScan scan, boolean results) {
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

    private void makeInputs() {
        values.add(normal(1, 0, 1, length, CHANNELS));
        values.add(normal(1, 0, 1, length, CHANNELS));
        values.add(negative(normal(1, 0, CHANNELS, STATES)));
        values.add(normal(1, 0, 1, length, STATES));
        values.add(normal(1, 0, 1, length, STATES));
        values.add(normal(1, 0, CHANNELS));
        values.add(normal(1, -4, CHANNELS));
        values.add(normal(1, 0, 1, length, CHANNELS));
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
