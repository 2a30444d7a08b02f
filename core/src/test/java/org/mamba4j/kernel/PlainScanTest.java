package org.mamba4j.kernel;

class PlainScanTest extends CpuScanContract {
    @Override
    protected SequenceKernels kernels() {
        return new PlainKernels();
    }
}
