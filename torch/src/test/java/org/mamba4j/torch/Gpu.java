package org.mamba4j.torch;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.pytorch.global.torch;

/** Whether tests can use a GPU. */
public final class Gpu {
    private Gpu() {}

    /** Whether there is one that libtorch can use. */
    public static boolean isThere() {
        Torch.load();
        return torch.hasCUDA() && torch.cuda_is_available();
    }

    /** Skips the test, with a message, where there is none. */
    public static void require() {
        assumeTrue(isThere(), "skipped: no CUDA device");
    }
}
