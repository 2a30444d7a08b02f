package org.mamba4j.experiments;

import java.nio.file.Path;

/** What a part knows of the run that it is in. */
public interface PartRun {
    /** Where a part may keep what it needs to go on after a pause; deleted when it is done. Need not exist. */
    Path folder();

    /**
     * Says how far it is; cheap enough for every step.
     *
     * @param done share, in [0, 1]
     * @param detail such as the present loss
     */
    void progress(double done, String detail);

    /** Whether the run should end now: a part that can go on later saves what it needs and calls {@link #pause}. */
    boolean isTimeUp();

    /** Ends the part unfinished; the next run of the experiment starts it again. */
    default RuntimeException pause() {
        return new Paused();
    }

    /** For parts that keep nothing: ends here if time is up. */
    default void pauseIfTimeIsUp() {
        if (isTimeUp()) {
            throw pause();
        }
    }

    /** Thrown where a part ends unfinished because time is up. */
    final class Paused extends RuntimeException {
        private static final long serialVersionUID = 1;

        Paused() {
            super("time is up");
        }
    }
}
