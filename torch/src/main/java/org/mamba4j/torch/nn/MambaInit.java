package org.mamba4j.torch.nn;

import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorFiles;

/**
 * The initial values of a Mamba, as its reference implementation draws them ([1], section 3.6 and appendix), from one seed
 * and without libtorch's generator, so that they are the same on every machine and version.
 *
 * <ul>
 *   <li>A_log: log n for n = 1..N in every channel, so A = -n ("S4D-real"): N time constants per channel.
 *   <li>dt_proj.bias: the inverse softplus of a time step that is log-uniform in [dtMin, dtMax] and at least dtInitFloor,
 *       so that channels differ in how long they remember from the first step on; dt_proj.weight within dtScale / √dtRank,
 *       which keeps the variance of what the rank-dtRank bottleneck adds to it.
 *   <li>D and norms: 1. Embedding: normal. Linear weights and the convolution: uniform within 1 / √fan-in. Biases of
 *       projections: 0; of the convolution: uniform like its weight.
 *   <li>out_proj.weight, where the configuration asks for it: divided by √nLayer, so that the residual stream's variance
 *       does not grow with depth.
 * </ul>
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752.
 */
final class MambaInit {
    private final MambaConfig config;

    MambaInit(MambaConfig config) {
        this.config = config;
    }

    /** Fills {@code parameters}; each draws from a stream of its own. */
    void fill(Parameters parameters, long seed) {
        SplittableRandom seeds = new SplittableRandom(seed);
        for (Parameter parameter : parameters.all()) {
            if (!isMemory(parameter)) { // a MemMamba's, see MemoryInit
                fill(parameter, seeds.split());
            }
        }
    }

    static boolean isMemory(Parameter parameter) {
        return parameter.name().contains(".memory.");
    }

    /** Fills one of them. */
    void fill(Parameter parameter, SplittableRandom random) {
        String name = parameter.name();
        if (name.endsWith("norm.weight") || name.endsWith("norm_f.weight") || name.endsWith(".D")) {
            set(parameter, () -> 1);
        } else if (name.endsWith(".A_log")) {
            int[] next = {0};
            set(parameter, () -> Math.log(next[0]++ % config.dState() + 1));
        } else if (name.endsWith("embeddings.weight")) {
            set(parameter, () -> random.nextGaussian() * config.initializerRange());
        } else if (name.endsWith("dt_proj.bias")) {
            set(parameter, timeStepBias(random, config.dtMin(), config.dtMax(), config.dtInitFloor()));
        } else if (name.endsWith("dt_proj.weight")) {
            double bound = config.dtScale() / Math.sqrt(config.dtRank());
            set(parameter, config.dtInit().equals("constant") ? () -> bound : uniform(random, bound));
        } else if (name.endsWith("conv1d.weight") || name.endsWith("conv1d.bias")) {
            set(parameter, uniform(random, 1 / Math.sqrt(config.dConv())));
        } else if (name.endsWith("out_proj.weight")) {
            double depth = config.rescalePrenormResidual() ? config.nLayer() : 1;
            set(parameter, uniform(random, 1 / Math.sqrt(config.dInner() * depth)));
        } else if (name.endsWith(".weight")) {
            set(
                    parameter,
                    uniform(random, 1 / Math.sqrt((double) parameter.tensor().size(1))));
        } else if (name.endsWith(".bias")) {
            set(parameter, () -> 0);
        } else {
            throw new IllegalStateException("no initial value is defined for " + name);
        }
    }

    /** What softplus makes a time step of that is log-uniform in [least, greatest] and at least {@code floor}. */
    static DoubleSupplier timeStepBias(SplittableRandom random, double least, double greatest, double floor) {
        double low = Math.log(least);
        double high = Math.log(greatest);
        return () -> inverseSoftplus(Math.max(Math.exp(low + random.nextDouble() * (high - low)), floor));
    }

    /** x with log(1 + eˣ) = y. */
    private static double inverseSoftplus(double y) {
        return y + Math.log(-Math.expm1(-y));
    }

    static DoubleSupplier uniform(SplittableRandom random, double bound) {
        return () -> (2 * random.nextDouble() - 1) * bound;
    }

    static void set(Parameter parameter, DoubleSupplier values) {
        float[] drawn = new float[Math.toIntExact(parameter.tensor().numel())];
        for (int i = 0; i < drawn.length; i++) {
            drawn[i] = (float) values.getAsDouble();
        }
        TensorFiles.fill(parameter.tensor(), DType.F32, MemorySegment.ofArray(drawn));
    }
}
