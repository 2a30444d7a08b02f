package org.mamba4j.torch;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.kernel.MambaKernels;

/** Whether tests can use a GPU. */
public final class Gpu {
    private Gpu() {}

    /** Whether there is one that libtorch can use. */
    public static boolean isThere() {
        Torch.load();
        return torch.hasCUDA() && torch.cuda_is_available();
    }

    /**
     * What models are tested on: the GPU if the system property {@code mamba4j.test.device} is {@code cuda}, by default the
     * CPU.
     */
    public static MambaKernels kernelsUnderTest() {
        return System.getProperty("mamba4j.test.device", "cpu").equals("cuda")
                ? MambaKernels.cuda()
                : MambaKernels.fused();
    }

    /** Skips the test, with a message, where there is none. */
    public static void require() {
        assumeTrue(isThere(), "skipped: no CUDA device");
    }
}
