package org.mamba4j.kernel;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import org.mamba4j.kernel.vector.VectorDense;
import org.mamba4j.kernel.vector.VectorKernels;

/** Chooses, once, the fastest kernels that this JVM can run. */
public final class Kernels {
    private static final String MODULE = "jdk.incubator.vector";

    private Kernels() {}

    /**
     * The kernels for this machine, always the same object: on the Vector API and {@link Workers#shared()}. Where Java was
     * started without that module, the plain ones, and a warning is logged that says so and what to do about it.
     */
    public static SequenceKernels best() {
        return Best.KERNELS;
    }

    /** The same kernels on {@code threads} threads (at least 1); the plain ones always take one. */
    public static SequenceKernels best(int threads) {
        boolean same = threads == Workers.shared().parallelism() || !(best() instanceof VectorKernels);
        return same ? best() : new VectorKernels(new Workers(threads));
    }

    /** The products and norms for this machine, chosen as {@link #best()} is. */
    public static DenseKernels dense() {
        return Dense.KERNELS;
    }

    static SequenceKernels choose(boolean vectorApi, Logger logger) {
        if (vectorApi) {
            return new VectorKernels(Workers.shared());
        }
        logger.log(
                Level.WARNING,
                "The Vector API is not available, so the plain kernels are used, which are about 100 times slower;"
                        + " start Java with --add-modules " + MODULE);
        return new PlainKernels();
    }

    private static final class Dense {
        // Asks best(), which says so where there is no Vector API.
        static final DenseKernels KERNELS =
                best() instanceof VectorKernels ? VectorDense.starting(Workers.shared()) : new PlainDense();
    }

    private static final class Best {
        static final SequenceKernels KERNELS = choose(
                ModuleLayer.boot().findModule(MODULE).isPresent(), System.getLogger(Kernels.class.getPackageName()));
    }
}
