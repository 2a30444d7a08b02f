package org.mamba4j.torch.nn;

import java.util.List;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.DifferentiableLayer;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.MambaLayerPass;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequenceOutput;
import org.mamba4j.torch.kernel.TrainedWeight;

/**
 * One block of a Mamba: x + mixer(RMSNorm(x)).
 *
 * <p>A mixer looks at the sequence twice: a causal convolution over the last few steps, then the selective scan, a
 * recurrence with N numbers of state per channel whose step size and in- and output matrices are computed from the token
 * itself. Both come in a fused and in a composed form, see {@link MambaKernels}; all else is libtorch's.
 *
 * <p>Shapes: B batch, L length, d model width, D = expand · d channels, N states per channel, R rank of the time step
 * projection, K width of the convolution.
 */
final class MambaBlock {
    private final MambaConfig config;
    private final MambaKernels kernels;
    private final int layer;
    private final Tensor norm; // (d)
    private final Tensor inProj; // (2D, d)
    private final Tensor inProjBias; // (2D) or absent
    private final Tensor convWeight; // (D, 1, K)
    private final Tensor convBias; // (D) or absent
    private final Tensor xProj; // (R + 2N, D)
    private final Tensor dtProj; // (D, R)
    private final Tensor dtProjBias; // (D)
    private final Tensor aLog; // (D, N)
    private final Tensor d; // (D)
    private final Tensor outProj; // (d, D)
    private final Tensor outProjBias; // (d) or absent

    /** The block number {@code layer} of those that {@code parameters} hold. */
    MambaBlock(MambaConfig config, MambaKernels kernels, Parameters parameters, int layer) {
        String name = "backbone.layers." + layer + ".";
        this.config = config;
        this.kernels = kernels;
        this.layer = layer;
        norm = parameters.get(name + "norm.weight");
        inProj = parameters.get(name + "mixer.in_proj.weight");
        inProjBias = parameters.get(name + "mixer.in_proj.bias");
        convWeight = parameters.get(name + "mixer.conv1d.weight");
        convBias = parameters.get(name + "mixer.conv1d.bias");
        xProj = parameters.get(name + "mixer.x_proj.weight");
        dtProj = parameters.get(name + "mixer.dt_proj.weight");
        dtProjBias = parameters.get(name + "mixer.dt_proj.bias");
        aLog = parameters.get(name + "mixer.A_log");
        d = parameters.get(name + "mixer.D");
        outProj = parameters.get(name + "mixer.out_proj.weight");
        outProjBias = parameters.get(name + "mixer.out_proj.bias");
    }

    /** (B, L, d) → (B, L, d). */
    Tensor forward(Tensor x, Carry carry) {
        if (runsAsOneOperation(x, carry)) {
            return DifferentiableLayer.apply(x, new MambaLayerPass(config, kernels.activations(), trainedWeights()));
        }
        return x.add(mixer(LanguageNetwork.rmsNorm(x, norm, config.normEpsilon()), carry)); // (B, L, d)
    }

    /**
     * Whether the whole block trains as one fused operation: on a GPU, from nothing, and where there are gradients to add to.
     */
    private boolean runsAsOneOperation(Tensor x, Carry carry) {
        return kernels.isCuda()
                && !carry.wantsState()
                && GradMode.is_enabled()
                && x.requires_grad()
                && x.numel() > 0
                && weights().stream()
                        .allMatch(weight -> !weight.defined() || weight.grad().defined());
    }

    private List<Tensor> weights() {
        return List.of(
                norm,
                inProj,
                inProjBias,
                convWeight,
                convBias,
                xProj,
                dtProj,
                dtProjBias,
                aLog,
                d,
                outProj,
                outProjBias);
    }

    private MambaLayerPass.Weights trainedWeights() {
        return new MambaLayerPass.Weights(
                value(norm),
                factor(inProj),
                factor(inProjBias),
                value(convWeight),
                value(convBias),
                factor(xProj),
                factor(dtProj),
                value(dtProjBias),
                value(aLog),
                value(d),
                factor(outProj),
                factor(outProjBias));
    }

    private static TrainedWeight value(Tensor weight) {
        if (!weight.defined()) {
            return TrainedWeight.ABSENT;
        }
        Tensor value = CustomGradient.save(weight);
        return new TrainedWeight(value, value, TensorScope.giveToGraph(weight.grad()));
    }

    /** With its present value in the type of the activations. */
    private TrainedWeight factor(Tensor weight) {
        if (!weight.defined()) {
            return TrainedWeight.ABSENT;
        }
        TrainedWeight exact = value(weight);
        return new TrainedWeight(
                exact.value(), TensorScope.giveToGraph(kernels.activation(exact.value())), exact.gradient());
    }

    /**
     * What the scan works on: computed from the token itself.
     *
     * @param u its input (B, L, D)
     * @param z gate of its output (B, L, D)
     * @param delta steps before bias and softplus (B, L, D)
     * @param b how the input enters the state (B, L, N)
     * @param c how the state is read (B, L, N)
     * @param a decay (D, N), negative
     * @param convState last inputs of the convolution, if the carry wants them
     */
    record Selected(Tensor u, Tensor z, Tensor delta, Tensor b, Tensor c, Tensor a, Tensor convState) {
        /** Of the tokens at {@code places} (B, K) alone. */
        Selected at(Tensor places) {
            return new Selected(
                    DeciMamba.at(u, places),
                    DeciMamba.at(z, places),
                    DeciMamba.at(delta, places),
                    DeciMamba.at(b, places),
                    DeciMamba.at(c, places),
                    a,
                    convState);
        }
    }

    /** @param x the residual stream (B, L, d) */
    Selected select(Tensor x, Carry carry) {
        return selected(LanguageNetwork.rmsNorm(x, norm, config.normEpsilon()), carry);
    }

    private Selected selected(Tensor x, Carry carry) {
        TensorVector halves = kernels.linear(x, inProj, inProjBias).split(config.dInner(), 2); // 2 × (B, L, D)
        Tensor z = halves.get(1); // (B, L, D)

        SequenceOutput conv = kernels.conv()
                .apply(new ConvInputs(halves.get(0), convWeight, convBias, carry.conv(layer)), carry.wantsState());
        Tensor u = conv.y(); // (B, L, D)

        TensorVector selection = kernels.linear(u, xProj, Tensors.absent()) // (B, L, R + 2N)
                .split(new long[] {config.dtRank(), config.dState(), config.dState()}, 2);
        Tensor delta = kernels.linear(selection.get(0), dtProj, Tensors.absent()); // (B, L, D)
        Tensor b = selection.get(1); // (B, L, N)
        Tensor c = selection.get(2); // (B, L, N)
        Tensor a = aLog.exp().neg(); // (D, N)
        return new Selected(u, z, delta, b, c, a, conv.lastState());
    }

    /** Steps (B, L, D), all positive. */
    Tensor steps(Selected selected) {
        return torch.softplus(selected.delta().to(ScalarType.Float).add(dtProjBias));
    }

    private Tensor mixer(Tensor x, Carry carry) {
        return scan(selected(x, carry), carry);
    }

    /**
     * What is left of the block after {@link #select}.
     *
     * @param x the residual stream of the selected tokens (B, K, d)
     * @return (B, K, d)
     */
    Tensor scanned(Tensor x, Selected selected, Carry carry) {
        return x.add(scan(selected, carry));
    }

    private Tensor scan(Selected s, Carry carry) {
        SequenceOutput scan = kernels.scan()
                .apply(
                        ScanInputs.of(s.u(), s.delta(), s.a(), s.b(), s.c())
                                .withDeltaBias(dtProjBias)
                                .withSoftplus(true)
                                .withSkip(d)
                                .withGate(s.z())
                                .from(carry.ssm(layer)),
                        carry.wantsState());
        carry.update(layer, s.convState(), scan.lastState());
        return kernels.linear(scan.y(), outProj, outProjBias); // (B, L, d)
    }
}
