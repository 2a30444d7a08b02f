package org.mamba4j.cli;

import java.util.function.UnaryOperator;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.model.DecimationConfig;

/** How the weights of a checkpoint are read: as they were trained, or otherwise. */
sealed interface Reading permits Notes, Reading.Decimated {
    /** The model of {@code checkpoint} in this way; the files are now closed with the result, and at once if this fails. */
    Checkpoint of(Checkpoint checkpoint);

    /** What stands behind the model's name in tables. */
    String mark();

    /** Whether only libtorch can. */
    boolean needsTorch();

    /** A Mamba that leaves tokens of long texts out. */
    record Decimated(DecimationConfig decimation) implements Reading {
        @Override
        public Checkpoint of(Checkpoint checkpoint) {
            return changed(checkpoint, files -> files.decimated(decimation));
        }

        @Override
        public String mark() {
            return ", decimated";
        }

        @Override
        public boolean needsTorch() {
            return true;
        }
    }

    /** What {@code change} makes of {@code checkpoint}, which is closed if that fails. */
    static Checkpoint changed(Checkpoint checkpoint, UnaryOperator<Checkpoint> change) {
        boolean done = false;
        try {
            Checkpoint changed = change.apply(checkpoint);
            done = true;
            return changed;
        } finally {
            if (!done) {
                checkpoint.close();
            }
        }
    }
}
