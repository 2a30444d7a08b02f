package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.global.torch.ScalarType;

class ParallelScanTest extends TorchScanContract {
    @Override
    protected SelectiveScan scan() {
        return new ParallelScan();
    }

    @Override
    protected Placement placement() {
        return new Placement("cpu", ScalarType.Float);
    }
}
