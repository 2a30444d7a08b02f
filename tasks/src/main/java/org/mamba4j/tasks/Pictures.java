package org.mamba4j.tasks;

import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.function.Supplier;
import org.mamba4j.checkpoint.AtomicFile;

/** Pictures beside figures: where Java cannot draw, the figures are still written. */
public final class Pictures {
    private static final System.Logger LOG = System.getLogger(Pictures.class.getName());

    private Pictures() {}

    /**
     * Draws and writes; a Java without fonts (a bare server) is told of in one warning.
     *
     * @return whether there is a picture
     * @throws org.mamba4j.UserError if the file cannot be written
     */
    public static boolean write(Path png, Supplier<byte[]> draw) {
        byte[] picture;
        try {
            picture = draw.get();
        } catch (RuntimeException | LinkageError | InternalError e) { // how a missing font library shows differs
            LOG.log(
                    Level.WARNING,
                    "no picture in {0}: this Java cannot draw text ({1}); install fontconfig and a font",
                    png,
                    e.getMessage());
            return false;
        }
        AtomicFile.writeBytes(png, picture);
        return true;
    }
}
