package org.mamba4j.torch.kernel;

import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * One layer of a Mamba on a GPU, forward and backward written out by hand: x + mixer(RMSNorm(x)).
 *
 * <p>Why by hand, when libtorch's autograd runs the same layer (the model's block in {@code nn}, against which this is
 * tested): a step of a small model is bound by launches, and one of a large model by memory traffic, and here both can be
 * counted. The residual is added where the next norm reads it; a half of a gradient is written where the matrix product
 * that needs both halves reads it; weights' gradients are summed in float32 by the product itself; nothing is cast,
 * zeroed or copied on the way. Nothing waits for the GPU either, so the launches can be recorded as a CUDA graph.
 *
 * <pre>
 * x      = residual + output of the layer below          (M, d) float32, by the norm's kernel
 * n      = RMSNorm(x)                                    (M, d)
 * v | z  = n Winᵀ                                        (M, 2D)
 * u      = silu(conv(v))                                 (M, D)
 * t B C  = u Wxᵀ                                         (M, R + 2N)
 * delta  = t Wdtᵀ                                        (M, D)
 * y      = scan(u, delta, A, B, C, z)                    (M, D)
 * out    = y Woutᵀ                                       (M, d)
 * </pre>
 *
 * <p>Kept for the way back: x, n, v | z, u, t B C, delta, y and the scan's saved states: in bfloat16, N = 16 and D = 2d,
 * 2d + 7D · 2 + D · 2 bytes per token and layer. What the scan needs inside is computed again (see {@link CudaScan}). With
 * {@code recompute} only x and the layer's input are kept, and the layer runs forward once more on the way back.
 *
 * <p>Shapes: M = B · L tokens; d, D, N, R as in the papers.
 */
public final class MambaLayerPass {
    private static final Tensor ABSENT = Tensors.absent();

    private final MambaConfig config;
    private final ScalarType type;
    private final Weights weights;

    /** A layer's parameters under the names that checkpoints give them. */
    public record Weights(
            TrainedWeight norm,
            TrainedWeight inProj,
            TrainedWeight inProjBias,
            TrainedWeight convWeight,
            TrainedWeight convBias,
            TrainedWeight xProj,
            TrainedWeight dtProj,
            TrainedWeight dtProjBias,
            TrainedWeight aLog,
            TrainedWeight d,
            TrainedWeight outProj,
            TrainedWeight outProjBias) {}

    /**
     * The residual stream between two layers, not yet added up.
     *
     * @param x (M, d) float32
     * @param addend output of the layer below (M, d) in the type of the activations; absent below the first
     */
    public record Residual(Tensor x, Tensor addend) {}

    /**
     * The gradient of the residual stream.
     *
     * @param exact (M, d) float32; written over on the way down
     * @param rounded the same in the type of the activations
     */
    public record ResidualGradient(Tensor exact, Tensor rounded) {}

    /** What the way back needs of the way forward. */
    public record Saved(
            Tensor x,
            Tensor scale,
            Tensor normed,
            Tensor halves,
            Tensor u,
            Tensor selection,
            Tensor delta,
            Tensor a,
            Tensor y,
            Tensor checkpoints) {
        private List<Tensor> allButX() {
            return List.of(scale, normed, halves, u, selection, delta, a, y, checkpoints);
        }

        private void promoteFrom(TensorScope scope) {
            scope.promote(x);
            allButX().forEach(scope::promote);
        }

        /** Each tensor replaced by what {@code change} makes of it. */
        Saved map(UnaryOperator<Tensor> change) {
            return new Saved(
                    change.apply(x),
                    change.apply(scale),
                    change.apply(normed),
                    change.apply(halves),
                    change.apply(u),
                    change.apply(selection),
                    change.apply(delta),
                    change.apply(a),
                    change.apply(y),
                    change.apply(checkpoints));
        }

        /** Frees all. */
        public void close() {
            x.close();
            closeButX();
        }

        /** Frees all but x. */
        public void closeButX() {
            allButX().forEach(Tensor::close);
        }
    }

    /** What {@link #forward} returns. */
    public record Forward(Residual residual, Saved saved) {}

    /** @param type of the activations */
    public MambaLayerPass(MambaConfig config, ScalarType type, Weights weights) {
        this.config = config;
        this.type = type;
        this.weights = weights;
    }

    /**
     * @param in as the layer below left it
     * @param batch sequences that the M rows are
     * @return both in the caller's scope
     */
    public Forward forward(Residual in, long batch) {
        try (TensorScope scope = new TensorScope()) {
            NormedStream norm = NormedStream.of(in, norm(), type);
            Tensor halves =
                    Products.forward(norm.normed(), weights.inProj.compute(), weights.inProjBias.compute()); // (M, 2D)
            Tensor u = Tensors.emptyLike(halves, type, halves.size(0), config.dInner()); // (M, D)
            conv(half(halves, 0, batch)).forward(sequences(u, batch));
            Tensor selection = Products.forward(u, weights.xProj.compute(), ABSENT); // (M, R + 2N)
            Tensor delta = Products.forward(selection.narrow(1, 0, config.dtRank()), weights.dtProj.compute(), ABSENT);
            Tensor a = weights.aLog.value().exp().neg_(); // (D, N)
            CudaScanLaunch scan = new CudaScanLaunch(scanInputs(halves, u, selection, delta, a, batch));
            Tensor y = Tensors.emptyLike(u); // (M, D)
            Tensor checkpoints = scan.newCheckpoints();
            scan.forward(sequences(y, batch), ABSENT, checkpoints);
            Tensor out = Products.forward(y, weights.outProj.compute(), weights.outProjBias.compute()); // (M, d)
            Saved saved =
                    new Saved(norm.sum(), norm.scale(), norm.normed(), halves, u, selection, delta, a, y, checkpoints);
            saved.promoteFrom(scope);
            return new Forward(new Residual(norm.sum(), scope.promote(out)), saved);
        }
    }

    /**
     * Fills the gradients of the layer's parameters.
     *
     * @param above of the layer's output
     * @param add whether to add to the parameters' gradients instead of overwriting them
     * @return of the layer's input; the exact one in the place of {@code above}'s, the other in the caller's scope
     */
    public ResidualGradient backward(Saved saved, ResidualGradient above, long batch, boolean add) {
        try (TensorScope scope = new TensorScope()) {
            Tensor gradOut = above.rounded(); // (M, d)
            Products.weight(gradOut, saved.y, weights.outProj.gradient(), add);
            Products.bias(gradOut, weights.outProjBias.gradient(), add);
            Tensor gradY = Tensors.emptyLike(saved.y); // (M, D)
            Products.input(gradOut, weights.outProj.compute(), gradY);

            Tensor gradHalves = Tensors.emptyLike(saved.halves); // (M, 2D)
            Tensor gradU = Tensors.emptyLike(saved.u); // (M, D)
            mixer(saved, gradY, gradHalves, gradU, batch, add);

            Products.weight(gradHalves, saved.normed, weights.inProj.gradient(), add);
            Products.bias(gradHalves, weights.inProjBias.gradient(), add);
            Tensor gradNormed = Tensors.emptyLike(saved.normed); // (M, d)
            Products.input(gradHalves, weights.inProj.compute(), gradNormed);
            Tensor rounded = Tensors.emptyLike(gradNormed); // (M, d)
            norm().backward(
                            gradNormed,
                            saved.x,
                            saved.scale,
                            new CudaRmsNorm.Gradients(
                                    above.exact(), above.exact(), rounded, weights.norm.gradient(), add, workspace()));
            return new ResidualGradient(above.exact(), scope.promote(rounded));
        }
    }

    /** {@code exact} (M, d) in the type of the activations. */
    Tensor rounded(Tensor exact) {
        return exact.to(type);
    }

    private CudaRmsNorm norm() {
        return new CudaRmsNorm(weights.norm.value(), config.normEpsilon());
    }

    private Tensor workspace() {
        return CudaRmsNorm.workspace(weights.norm.value(), config.dModel());
    }

    /** From the gradient of y to that of v | z, through scan, projections and convolution. */
    private void mixer(Saved saved, Tensor gradY, Tensor gradHalves, Tensor gradU, long batch, boolean add) {
        int rank = config.dtRank();
        int states = config.dState();
        Tensor gradSelection = Tensors.emptyLike(saved.selection); // (M, R + 2N)
        Tensor gradDelta = Tensors.emptyLike(saved.delta); // (M, D)
        Tensor gradA = Tensors.emptyLike(saved.a); // (D, N)
        Tensor gradD = Tensors.emptyLike(weights.d.value()); // (D)
        Tensor gradBias = Tensors.emptyLike(weights.dtProjBias.value()); // (D)
        new CudaScanLaunch(scanInputs(saved.halves, saved.u, saved.selection, saved.delta, saved.a, batch))
                .backward(
                        sequences(saved.y, batch),
                        sequences(gradY, batch),
                        saved.checkpoints,
                        List.of(
                                sequences(gradU, batch),
                                sequences(gradDelta, batch),
                                gradA,
                                sequences(gradSelection.narrow(1, rank, states), batch),
                                sequences(gradSelection.narrow(1, rank + states, states), batch),
                                gradD,
                                gradBias,
                                half(gradHalves, 1, batch),
                                ABSENT));
        Products.put(gradA.mul_(saved.a), weights.aLog.gradient(), add); // A = -exp(A_log)
        Products.put(gradD, weights.d.gradient(), add);
        Products.put(gradBias, weights.dtProjBias.gradient(), add);

        Products.weight(gradDelta, saved.selection.narrow(1, 0, rank), weights.dtProj.gradient(), add);
        Products.input(gradDelta, weights.dtProj.compute(), gradSelection.narrow(1, 0, rank));
        Products.weight(gradSelection, saved.u, weights.xProj.gradient(), add);
        Products.addInput(gradSelection, weights.xProj.compute(), gradU);

        Tensor gradWeight = Tensors.emptyLike(weights.convWeight.value()); // (D, 1, K)
        Tensor gradConvBias = weights.convBias.value().defined() ? Tensors.emptyLike(weights.convBias.value()) : ABSENT;
        conv(half(saved.halves, 0, batch))
                .backward(
                        sequences(gradU, batch), List.of(half(gradHalves, 0, batch), gradWeight, gradConvBias, ABSENT));
        Products.put(gradWeight, weights.convWeight.gradient(), add);
        if (gradConvBias.defined()) {
            Products.put(gradConvBias, weights.convBias.gradient(), add);
        }
    }

    private CudaConv.Operation conv(Tensor x) {
        return new CudaConv.Operation(x, weights.convWeight.value(), weights.convBias.value(), ABSENT, ABSENT);
    }

    private ScanInputs scanInputs(Tensor halves, Tensor u, Tensor selection, Tensor delta, Tensor a, long batch) {
        int rank = config.dtRank();
        int states = config.dState();
        return ScanInputs.of(
                        sequences(u, batch),
                        sequences(delta, batch),
                        a,
                        sequences(selection.narrow(1, rank, states), batch),
                        sequences(selection.narrow(1, rank + states, states), batch))
                .withDeltaBias(weights.dtProjBias.value())
                .withSoftplus(true)
                .withSkip(weights.d.value())
                .withGate(half(halves, 1, batch));
    }

    /** v (0) or z (1) of (M, 2D): (B, L, D). */
    private Tensor half(Tensor halves, int which, long batch) {
        return sequences(halves.narrow(1, (long) which * config.dInner(), config.dInner()), batch);
    }

    /** (M, n) → (B, L, n), the same memory. */
    private static Tensor sequences(Tensor rows, long batch) {
        return rows.view(batch, rows.size(0) / batch, rows.size(1));
    }
}
