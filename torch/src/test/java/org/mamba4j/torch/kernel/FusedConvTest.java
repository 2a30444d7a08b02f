package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.Kernels;

/** The convolution over core's kernels, packed documents included. */
class FusedConvTest extends TorchConvContract {
    @Override
    protected CausalConv conv() {
        return new FusedConv(Kernels.best());
    }

    @Override
    protected Placement placement() {
        return new Placement("cpu", ScalarType.Float);
    }
}
