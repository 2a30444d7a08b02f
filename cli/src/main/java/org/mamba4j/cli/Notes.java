package org.mamba4j.cli;

import org.mamba4j.checkpoint.Checkpoint;

/** Whether a MemMamba reads the notes that it takes. */
enum Notes {
    /** As the model was trained. */
    ON {
        @Override
        Checkpoint of(Checkpoint checkpoint) {
            return checkpoint;
        }
    },
    /** The same weights, reading nothing. */
    OFF {
        @Override
        Checkpoint of(Checkpoint checkpoint) {
            boolean done = false;
            try {
                Checkpoint without = checkpoint.withoutNotes();
                done = true;
                return without;
            } finally {
                if (!done) {
                    checkpoint.close();
                }
            }
        }
    };

    /** The model of {@code checkpoint} in this way; the files are now closed with the result, and at once if this fails. */
    abstract Checkpoint of(Checkpoint checkpoint);
}
