package org.mamba4j.experiments;

import java.util.Locale;

/** How much of an experiment is run. */
public enum Scale {
    /** Seconds on a CPU: shows that it runs. */
    SMOKE,
    /** Up to a quarter of an hour on two cores: teaches something. */
    SMALL,
    /** Up to 25 minutes on a GPU for each model and seed. */
    FULL;

    /** As it is written on a command line. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
