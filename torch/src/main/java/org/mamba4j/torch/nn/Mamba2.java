package org.mamba4j.torch.nn;

import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.Mamba2Config;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.SequenceOutput;

/**
 * The Mamba-2 language model [1] as a training graph: blocks x + mixer(RMSNorm(x)).
 *
 * <p>Against a {@link Mamba}: one projection of the block's input makes all, the gate z, the input x, B, C and the time
 * steps; the convolution runs over x, B and C; a head of P channels shares one decay, so that the recurrence becomes {@link
 * ChunkedScan}'s products and N can be many times greater; and its output is normalised, gate included, before the last
 * projection.
 *
 * <p>Shapes: B batch, L length, d model width, D = H · P channels, H heads of P channels, G groups of heads, N states per
 * channel.
 *
 * <p>Reference: [1] T. Dao, A. Gu: Transformers are SSMs, arXiv 2405.21060.
 */
public final class Mamba2 extends LanguageNetwork {
    /** Range of -A at first. */
    private static final double LEAST_RATE = 1;

    private static final double GREATEST_RATE = 16;

    private final Mamba2Config config;

    /** All weights zero. */
    Mamba2(Mamba2Config config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
    }

    @Override
    public Mamba2Config config() {
        return config;
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        return oneAfterAnother(0, config.nLayer(), embedded, observer, (i, x) -> block(i, x, carry));
    }

    private Tensor block(int layer, Tensor x, Carry carry) {
        String name = "backbone.layers." + layer + ".";
        return x.add(mixer(layer, name + "mixer.", norm(x, name + "norm.weight"), carry)); // (B, L, d)
    }

    private Tensor mixer(int layer, String name, Tensor x, Carry carry) {
        long states = (long) config.nGroups() * config.dState();
        TensorVector projected = kernels()
                .linear(x, weight(name + "in_proj.weight"), weight(name + "in_proj.bias"))
                .split(new long[] {config.dInner(), config.convSize(), config.nHeads()}, 2);
        Tensor z = projected.get(0); // (B, L, D)
        SequenceOutput conv = kernels()
                .conv()
                .apply(
                        new ConvInputs(
                                projected.get(1),
                                weight(name + "conv1d.weight"),
                                weight(name + "conv1d.bias"),
                                carry.conv(layer)),
                        carry.wantsState());
        TensorVector mixed = conv.y() // (B, L, D + 2 · G · N)
                .to(ScalarType.Float)
                .split(new long[] {config.dInner(), states, states}, 2);
        Tensor u = mixed.get(0).unflatten(2, config.nHeads(), config.headSize()); // (B, L, H, P)
        Tensor steps = steps(projected.get(2), weight(name + "dt_bias")); // (B, L, H)
        ChunkedScan.Result scanned = scan(new ChunkedScan.Inputs(
                u.mul(steps.unsqueeze(3)),
                steps.mul(weight(name + "A_log").exp().neg()),
                mixed.get(1).unflatten(2, config.nGroups(), config.dState()), // (B, L, G, N)
                mixed.get(2).unflatten(2, config.nGroups(), config.dState()),
                carry.ssm(layer)));
        if (carry.wantsState()) {
            carry.update(layer, conv.lastState(), scanned.end());
        }
        Tensor y = scanned.y().add(u.mul(weight(name + "D").unsqueeze(1))).flatten(2, 3); // (B, L, D)
        Tensor gated = norm(y.mul(torch.silu(z.to(ScalarType.Float))), name + "norm.weight"); // (B, L, D)
        return kernels().linear(gated, weight(name + "out_proj.weight"), weight(name + "out_proj.bias")); // (B, L, d)
    }

    private ChunkedScan.Result scan(ChunkedScan.Inputs inputs) {
        return inputs.x().size(1) == 1 ? ChunkedScan.step(inputs) : ChunkedScan.scan(inputs, config.chunkSize());
    }

    /** How far each head moves at each token, positive: (B, L, H) → (B, L, H). */
    private Tensor steps(Tensor raw, Tensor bias) {
        Tensor steps = torch.softplus(raw.to(ScalarType.Float).add(bias));
        ScalarOptional low = new ScalarOptional(new Scalar(config.dtLow()));
        if (config.dtHigh() > 0) {
            return steps.clamp(low, new ScalarOptional(new Scalar(config.dtHigh())));
        }
        return config.dtLow() > 0 ? steps.clamp(low, new ScalarOptional()) : steps;
    }

    private Tensor weight(String name) {
        return weights().get(name);
    }

    private Tensor norm(Tensor x, String name) {
        return rmsNorm(x, weight(name), config.normEpsilon());
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return norm(x, "backbone.norm_f.weight");
    }

    /**
     * As the reference draws them: -A uniform in [1, 16], time steps log-uniform in [dtMin, dtMax], D and norms 1, embedding
     * normal, matrices and convolution uniform within 1 / √fan-in.
     */
    @Override
    void fillInitially(long seed) {
        SplittableRandom seeds = new SplittableRandom(seed);
        for (Parameter parameter : weights().all()) {
            MambaInit.set(parameter, initially(parameter, seeds.split()));
        }
    }

    private DoubleSupplier initially(Parameter parameter, SplittableRandom random) {
        String name = parameter.name();
        if (name.endsWith("norm.weight") || name.endsWith("norm_f.weight") || name.endsWith(".D")) {
            return () -> 1;
        } else if (name.endsWith(".A_log")) {
            return () -> Math.log(LEAST_RATE + random.nextDouble() * (GREATEST_RATE - LEAST_RATE));
        } else if (name.endsWith(".dt_bias")) {
            return MambaInit.timeStepBias(random, config.dtMin(), config.dtMax(), config.dtInitFloor());
        } else if (name.endsWith("embeddings.weight")) {
            return () -> random.nextGaussian() * config.initializerRange();
        } else if (name.contains("conv1d.")) {
            return MambaInit.uniform(random, 1 / Math.sqrt(config.dConv()));
        } else if (name.endsWith(".bias")) {
            return () -> 0;
        }
        double depth = name.endsWith("out_proj.weight") && config.rescalePrenormResidual() ? config.nLayer() : 1;
        return MambaInit.uniform(random, 1 / Math.sqrt(parameter.tensor().size(1) * depth));
    }
}
