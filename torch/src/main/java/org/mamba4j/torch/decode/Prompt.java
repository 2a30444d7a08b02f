package org.mamba4j.torch.decode;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.CudaConv;
import org.mamba4j.torch.kernel.CudaRmsNorm;
import org.mamba4j.torch.kernel.CudaScan;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequenceOutput;

/**
 * Reads many tokens at once: all positions of a layer before the next layer, by the parallel scan.
 *
 * <p>Prompts of different lengths are put side by side so that they end together, with positions before the shorter ones
 * that stand for nothing: there the convolution is given 0, and a time step of 0, which leaves a state as it is. A sequence
 * that has read nothing yet is thus not changed by them.
 *
 * <p>Shapes: B sequences, L positions, as elsewhere.
 */
final class Prompt {
    /** What the time step is before softplus where it shall be 0: exp(-10,000). */
    private static final double NEVER = -1e4;

    private final DecodeWeights weights;
    private final DecodeSizes sizes;

    Prompt(DecodeWeights weights, DecodeSizes sizes) {
        this.weights = weights;
        this.sizes = sizes;
    }

    /**
     * Reads tokens and brings {@code state} up to date, except for its hidden output.
     *
     * @param ids (B, L) int64 on the GPU, L at least 1
     * @param real 1 where a token is read and 0 at a position that stands for nothing (B, L, 1), of the weights' type; absent
     *     if all are
     * @return the residual stream after the last block (B, L, d) float32
     */
    Tensor read(Tensor ids, Tensor real, DecodeState state) {
        Tensor x = torch.embedding(weights.embedding, ids).to(ScalarType.Float); // (B, L, d)
        int layers = sizes.config().nLayer();
        TensorScope.run(() -> {
            Tensor normed = Tensors.emptyLike(x, sizes.type(), x.shape());
            Tensor scale = Tensors.emptyLike(x, ScalarType.Float, rows(x).size(0));
            fused(0).forward(rows(x), rows(normed), scale);
            for (int layer = 0; layer < layers; layer++) {
                int at = layer;
                TensorScope.run(() -> {
                    Tensor out = block(normed, real, state, at);
                    if (at + 1 < layers) {
                        fused(at + 1).forwardAdd(rows(x), rows(out), rows(x), rows(normed), scale);
                    } else {
                        x.add_(out);
                    }
                });
            }
        });
        return x;
    }

    private CudaRmsNorm fused(int layer) {
        return new CudaRmsNorm(weights.norm.select(0, layer), sizes.config().normEpsilon());
    }

    /** (B, L, d) → (B L, d) */
    private static Tensor rows(Tensor x) {
        return x.flatten(0, 1);
    }

    /** What a layer's mixer makes of {@code normed}: (B, L, d) → (B, L, d). */
    private Tensor block(Tensor normed, Tensor real, DecodeState state, int layer) {
        MambaConfig config = sizes.config();
        int inner = config.dInner();
        int rank = config.dtRank();
        int states = config.dState();
        Tensor xz = linear(normed, weights.inProj.select(0, layer), weights.inProjBias, layer); // (B, L, 2D)
        Tensor pads = Tensors.absent(); // (B, L, 1) bool
        if (real.defined()) {
            xz.mul_(real);
            pads = real.eq(new Scalar(0));
        }
        Tensor in = xz.narrow(2, 0, inner);
        Tensor conv = state.conv().select(0, layer);
        Tensor u = new CudaConv()
                .apply(
                        new ConvInputs(
                                in, weights.convWeight.select(0, layer), weights.convBias.select(0, layer), conv),
                        false)
                .y(); // (B, L, D)
        keepLast(conv, in);

        Tensor select = u.matmul(weights.xProj.select(0, layer)); // (B, L, R + 2N padded)
        Tensor delta = torch.linear(
                select.narrow(2, 0, rank), weights.dtProj.select(0, layer).narrow(1, 0, rank)); // (B, L, D)
        if (pads.defined()) {
            delta.masked_fill_(pads, new Scalar(NEVER));
        }
        Tensor h = state.h().select(0, layer);
        SequenceOutput scan = new CudaScan()
                .apply(
                        ScanInputs.of(
                                        u,
                                        delta,
                                        weights.a.select(0, layer),
                                        select.narrow(2, rank, states),
                                        select.narrow(2, rank + (long) states, states))
                                .withDeltaBias(weights.dtBias.select(0, layer))
                                .withSoftplus(true)
                                .withSkip(weights.skip.select(0, layer))
                                .withGate(xz.narrow(2, inner, inner))
                                .from(h),
                        true);
        h.copy_(scan.lastState());
        Tensor out = scan.y().matmul(weights.outProj.select(0, layer));
        return weights.outProjBias.defined() ? out.add_(weights.outProjBias.select(0, layer)) : out;
    }

    /** The norm before block {@code layer}, or the final one, of {@code x} (…, d) float32, in the weights' type. */
    Tensor norm(Tensor x, int layer) {
        Tensor weight = weights.norm.select(0, layer);
        Tensor normed = torch.rms_norm(
                x,
                new long[] {weight.size(0)},
                new TensorOptional(weight),
                new DoubleOptional(sizes.config().normEpsilon()));
        return sizes.type() == ScalarType.Float ? normed : normed.to(sizes.type());
    }

    /** The head: (…, d) of the weights' type → (…, V) float32. */
    Tensor logits(Tensor normed) {
        Tensor padded = torch.linear(normed, weights.head);
        return padded.narrow(padded.dim() - 1, 0, sizes.config().vocabSize()).to(ScalarType.Float);
    }

    private static Tensor linear(Tensor x, Tensor weight, Tensor biases, int layer) {
        return biases.defined()
                ? torch.linear(x, weight, new TensorOptional(biases.select(0, layer)))
                : torch.linear(x, weight);
    }

    /** Makes the last K - 1 of what {@code conv} (B, D, K - 1) holds and of {@code in} (B, L, D) the new content. */
    private static void keepLast(Tensor conv, Tensor in) {
        long wanted = conv.size(2);
        long length = in.size(1);
        if (length >= wanted) {
            conv.copy_(in.narrow(1, length - wanted, wanted).transpose(1, 2));
            return;
        }
        Tensor older = conv.narrow(2, length, wanted - length).clone();
        conv.narrow(2, 0, wanted - length).copy_(older);
        conv.narrow(2, wanted - length, length).copy_(in.transpose(1, 2));
    }
}
