package org.mamba4j.torch.nn;

import java.util.SplittableRandom;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;

/**
 * The initial values of a memory: value projections are zero, so that an untrained MemMamba is its Mamba; the scorer's
 * last bias is 2, so that gates are open; a read gate's bias is -1 and the logit of reading nothing 3, so that reading
 * begins small and noise does not drown the text; norms are 1; all other weights are uniform within 1 / √fan-in.
 */
final class MemoryInit {
    private static final double OPEN_GATE = 2;
    private static final double READ_GATE = -1;
    private static final double NOTHING = 3;

    private final MemMambaConfig config;

    MemoryInit(MemMambaConfig config) {
        this.config = config;
    }

    /** Fills the memory's tensors among {@code parameters}; each draws from a stream of its own. */
    void fill(Parameters parameters, long seed) {
        SplittableRandom seeds = new SplittableRandom(~seed);
        for (Parameter parameter : parameters.all()) {
            if (MambaInit.isMemory(parameter)) {
                fill(parameter, seeds.split());
            }
        }
    }

    private void fill(Parameter parameter, SplittableRandom random) {
        String name = parameter.name();
        if (name.endsWith("norm.weight")) {
            MambaInit.set(parameter, () -> 1);
        } else if (name.endsWith("value.weight") || name.endsWith("threshold")) {
            MambaInit.set(parameter, () -> 0);
        } else if (name.endsWith("score_out.bias")) {
            MambaInit.set(parameter, () -> OPEN_GATE);
        } else if (name.endsWith("gate.bias")) {
            MambaInit.set(parameter, () -> READ_GATE);
        } else if (name.endsWith("nothing")) {
            MambaInit.set(parameter, () -> NOTHING);
        } else if (name.endsWith("fusion.weight") && !config.memory().fusion().equals("gate")) {
            int[] next = {0}; // the current token as it is; a single weight of one
            int taps = config.memory().fusion().equals("conv") ? MemoryConfig.FUSION_TAPS : 1;
            MambaInit.set(parameter, () -> next[0]++ % taps == taps - 1 ? 1 : 0);
        } else if (name.endsWith(".bias")) {
            MambaInit.set(parameter, () -> 0);
        } else {
            double fanIn = parameter.tensor().size(1);
            MambaInit.set(parameter, MambaInit.uniform(random, 1 / Math.sqrt(fanIn)));
        }
    }
}
