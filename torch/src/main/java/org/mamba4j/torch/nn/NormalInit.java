package org.mamba4j.torch.nn;

import java.util.SplittableRandom;

/**
 * The initial values of a Transformer: matrices normal, norms 1, biases 0; drawn from one seed and without libtorch's
 * generator, so that they are the same on every machine and version.
 */
final class NormalInit {
    private NormalInit() {}

    /**
     * Fills {@code parameters}; each draws from a stream of its own.
     *
     * @param deviation standard deviation of matrices
     */
    static void fill(Parameters parameters, double deviation, long seed) {
        SplittableRandom seeds = new SplittableRandom(seed);
        for (Parameter parameter : parameters.all()) {
            SplittableRandom random = seeds.split();
            boolean matrix = parameter.tensor().dim() > 1;
            double constant = parameter.name().endsWith(".bias") ? 0 : 1;
            MambaInit.set(parameter, matrix ? () -> random.nextGaussian() * deviation : () -> constant);
        }
    }
}
