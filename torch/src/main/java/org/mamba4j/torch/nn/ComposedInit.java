package org.mamba4j.torch.nn;

import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.LayerParts;

/**
 * The initial values of a {@link Composed} model, from one seed and without libtorch's generator.
 *
 * <ul>
 *   <li>Time steps: log-uniform in [dtMin, dtMax], so that channels differ in how long they remember.
 *   <li>A: as {@code a_init} says, see {@link StateMatrixInit}. B: 1, in S4 HiPPO's. C: normal, of variance 1, complex or real; S4
 *       then stores it as {@link S4Layer} does. The skip
 *       weight D: normal in S4 and S4D, 1 in S6, as their references have it.
 *   <li>Norms 1, biases 0, embedding normal; matrices and short convolutions (with their bias) uniform within 1 / √fan-in.
 *       In models of H3 blocks matrices are normal, as the embedding is.
 *   <li>H3's filter: uniform within 1 / √taps, its skip weight normal. Hyena's network: uniform within 1 / √fan-in, biases too,
 *       frequencies {@value #FILTER_FREQUENCY}, the skip weight normal.
 *   <li>What writes to the residual stream, where the configuration asks for it: divided by the root of the number of
 *       writers, so that the stream's variance does not grow with depth.
 * </ul>
 */
final class ComposedInit {
    private static final double TIME_STEP_FLOOR = 1e-4;

    /** A parameter of a mixer: its layer, and its name there. */
    private static final Pattern MIXER = Pattern.compile("backbone\\.layers\\.(\\d+)\\.mixer\\.(.+)");

    /** Of the sines in the network that computes a Hyena's kernels. */
    private static final double FILTER_FREQUENCY = 10;

    private final ComposedConfig config;

    ComposedInit(ComposedConfig config) {
        this.config = config;
    }

    /** Fills {@code parameters}; each draws from a stream of its own. */
    void fill(Parameters parameters, long seed) {
        SplittableRandom seeds = new SplittableRandom(seed);
        for (Parameter parameter : parameters.all()) {
            MambaInit.set(parameter, values(parameter, seeds.split()));
        }
    }

    private DoubleSupplier values(Parameter parameter, SplittableRandom random) {
        Matcher mixer = MIXER.matcher(parameter.name());
        return mixer.matches()
                ? ofMixer(mixer.group(2), config.layer(Integer.parseInt(mixer.group(1))), parameter, random)
                : ordinary(parameter, random);
    }

    private DoubleSupplier ofMixer(String name, LayerParts layer, Parameter parameter, SplittableRandom random) {
        return switch (name) {
            case "A_log", "ssm.A_log" -> new StateMatrixInit(layer).logarithms(random);
            case "A_imag", "ssm.A_imag" -> new StateMatrixInit(layer).frequencies();
            case "B" -> {
                int[] next = {0};
                yield () -> layer.isComplex() && next[0]++ % 2 == 1 ? 0 : 1; // real and imaginary parts in turn
            }
            case "C", "ssm.C" -> {
                double deviation = layer.isComplex() ? Math.sqrt(0.5) : 1;
                yield () -> random.nextGaussian() * deviation;
            }
            case "ssm.P" -> new StateMatrixInit(layer).lowRank();
            case "ssm.B" -> {
                DoubleSupplier p = new StateMatrixInit(layer).lowRank();
                yield () -> Math.sqrt(2) * p.getAsDouble();
            }
            case "D" -> () -> 1;
            case "ssm.D" -> random::nextGaussian;
            case "ssm.log_dt" -> {
                DoubleSupplier range = MambaInit.uniform(random, 0.5);
                double low = Math.log(config.dtMin());
                double high = Math.log(config.dtMax());
                yield () -> low + (range.getAsDouble() + 0.5) * (high - low);
            }
            case "dt_proj.bias" -> MambaInit.timeStepBias(random, config.dtMin(), config.dtMax(), TIME_STEP_FLOOR);
            case "dt_proj.weight" -> MambaInit.uniform(random, 1 / Math.sqrt(config.dtRank()));
            case "conv1d.weight", "conv1d.bias" -> MambaInit.uniform(random, 1 / Math.sqrt(layer.dConv()));
            case "shift.weight" -> MambaInit.uniform(random, 1 / Math.sqrt(layer.dConv()));
            case "shift.skip", "filter.skip" -> random::nextGaussian;
            case "filter.frequency" -> () -> FILTER_FREQUENCY;
            case "filter.0.weight", "filter.0.bias" ->
                MambaInit.uniform(random, 1 / Math.sqrt(ComposedConfig.FILTER_FEATURES));
            default ->
                name.startsWith("filter.")
                        ? MambaInit.uniform(random, 1 / Math.sqrt(ComposedConfig.FILTER_WIDTH))
                        : ordinary(parameter, random);
        };
    }

    private DoubleSupplier ordinary(Parameter parameter, SplittableRandom random) {
        String name = parameter.name();
        if (name.endsWith("embeddings.weight")) {
            return () -> random.nextGaussian() * config.initializerRange();
        } else if (name.endsWith(".bias")) {
            return () -> 0;
        } else if (parameter.tensor().dim() == 1) {
            return () -> 1; // a norm
        }
        boolean writes = name.endsWith("out_proj.weight") || name.endsWith("fc2.weight");
        double writers = config.nLayer() * (config.mlp().equals("none") ? 1.0 : 2.0);
        double scale = writes && config.rescalePrenormResidual() ? 1 / Math.sqrt(writers) : 1;
        if (config.block().equals("h3")) {
            return () -> random.nextGaussian() * config.initializerRange() * scale;
        }
        return MambaInit.uniform(
                random, scale / Math.sqrt((double) parameter.tensor().size(1)));
    }
}
