package org.mamba4j.torch.bench;

import java.util.Arrays;
import java.util.Locale;
import org.mamba4j.UserError;

/**
 * What the time steps of a scan are like. A GPU cuts a long sequence into ranges and finds the states at their edges,
 * going back no further than something is remembered: that takes longer the smaller the steps.
 */
public enum StepSizes {
    /** Log-uniform in 0.001 … 0.1 over the channels, as in a new model. */
    NEW,
    /** About 1: forgotten after a few steps. */
    LARGE;

    /** The name that users write. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** @throws UserError if {@code key} names none */
    public static StepSizes of(String key) {
        return Arrays.stream(values())
                .filter(sizes -> sizes.key().equals(key))
                .findFirst()
                .orElseThrow(() -> new UserError("step sizes " + key + ": unknown; use new, large or both"));
    }
}
