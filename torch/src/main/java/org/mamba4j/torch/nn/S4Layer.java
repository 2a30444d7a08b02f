package org.mamba4j.torch.nn;

import java.util.List;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.ComplexTensors;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * S4 [1]: a {@link LinearLayer} whose A is diagonal plus low rank, HiPPO-LegS at first, by the bilinear rule; see {@link LowRankSystem}.
 *
 * <p>Stored is C̃ = C (1 - Āᴸ) for texts of L = {@code kernel_length} tokens, as its reference does: kernels of up to L steps
 * follow from it directly. Longer texts, and such as go on, need C itself, a solution of dense equations in each channel; it is
 * kept as long as the weights are the same ones.
 *
 * <p>Reference: [1] A. Gu, K. Goel, C. Ré: Efficiently Modeling Long Sequences with Structured State Spaces, arXiv 2111.00396.
 */
final class S4Layer extends LinearLayer {
    private Kept kept = Kept.NOTHING;

    /**
     * What was made for a set of weights, outside of every scope.
     *
     * @param weights as {@link Carry#weights} has them
     */
    private record Kept(String weights, LowRankSystem.Pieces pieces) {
        static final Kept NOTHING =
                new Kept("", new LowRankSystem.Pieces(Tensors.absent(), Tensors.absent(), Tensors.absent(), List.of()));

        void close() {
            pieces.tensors().stream().filter(Tensor::defined).forEach(Tensor::close);
        }
    }

    S4Layer(ComposedLayer layer) {
        super(layer);
    }

    private LowRankSystem system() {
        return new LowRankSystem(
                weight("log_dt").exp(),
                ComplexTensors.of(weight("A_log").exp().neg(), weight("A_imag")),
                ComplexTensors.ofPairs(weight("P")),
                ComplexTensors.ofPairs(weight("B")),
                ComplexTensors.ofPairs(weight("C")),
                longestKernel());
    }

    private Tensor weight(String name) {
        return layer().weight("mixer.ssm." + name);
    }

    /** What was drawn is C; what is stored is C̃. */
    @Override
    public void prepare() {
        NoGrad.run(() -> TensorScope.run(() -> {
            Tensor c = weight("C");
            c.copy_(system().stored().to(ScalarType.Float));
        }));
    }

    @Override
    Tensor kernel(long length) {
        return system().kernel().narrow(1, 0, length);
    }

    @Override
    long longestKernel() {
        return layer().config().kernelLength();
    }

    /** A is not diagonal: its modes are its eigenvalues. */
    @Override
    Rates rates() {
        return system().rates();
    }

    @Override
    Response response(long length, Carry carry) {
        if (carry.weights().isEmpty() || GradMode.is_enabled()) {
            return system().response(length);
        }
        return kept(carry.weights());
    }

    private synchronized LowRankSystem.Pieces kept(String weights) {
        if (!kept.weights().equals(weights)) {
            LowRankSystem.Pieces made;
            try (TensorScope scope = new TensorScope()) {
                made = system().response(PIECE);
                made.tensors().forEach(scope::release);
            }
            // Those before are left to the garbage collector: another thread may be reading with them.
            kept = new Kept(weights, made);
        }
        return kept.pieces();
    }

    @Override
    public synchronized void close() {
        kept.close();
        kept = Kept.NOTHING;
    }
}
