package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.Kernels;

/** The scan over core's kernels, packed documents included. */
class FusedScanTest extends TorchScanContract {
    @Override
    protected SelectiveScan scan() {
        return new FusedScan(Kernels.best());
    }

    @Override
    protected Placement placement() {
        return new Placement("cpu", ScalarType.Float);
    }
}
