package org.mamba4j.cli;

import org.mamba4j.checkpoint.Checkpoint;

/** Whether a MemMamba reads the notes that it takes. */
enum Notes implements Reading {
    /** As the model was trained. */
    ON {
        @Override
        public Checkpoint of(Checkpoint checkpoint) {
            return checkpoint;
        }

        @Override
        public String mark() {
            return "";
        }
    },
    /** The same weights, reading nothing. */
    OFF {
        @Override
        public Checkpoint of(Checkpoint checkpoint) {
            return Reading.changed(checkpoint, Checkpoint::withoutNotes);
        }

        @Override
        public String mark() {
            return ", notes off";
        }
    };

    @Override
    public boolean needsTorch() {
        return false;
    }
}
