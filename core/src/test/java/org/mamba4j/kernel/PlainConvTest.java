package org.mamba4j.kernel;

class PlainConvTest extends CpuConvContract {
    @Override
    protected SequenceKernels kernels() {
        return new PlainKernels();
    }
}
