package org.mamba4j.kernel;

/**
 * The reference: one channel after the other, one step after the other, in double precision between float32 inputs and
 * outputs, on the calling thread. Every access is checked by the memory itself.
 */
public final class PlainKernels implements SequenceKernels {
    @Override
    public String name() {
        return "plain";
    }

    @Override
    public long scanCheckpointBytes(int batch, int length, int channels, int states) {
        return (long) batch * PlainScan.chunks(length) * channels * states * Float.BYTES;
    }

    @Override
    public void scanForward(ScanArguments arguments) {
        Runs.checkForward(this, arguments);
        PlainScan.forward(arguments);
    }

    @Override
    public void scanBackward(ScanArguments arguments, ScanGradients gradients) {
        Runs.checkBackward(this, arguments, gradients);
        PlainScan.backward(arguments, gradients);
    }

    @Override
    public void convForward(ConvArguments arguments) {
        Runs.checkForward(arguments);
        PlainConv.forward(arguments);
    }

    @Override
    public void convBackward(ConvArguments arguments, ConvGradients gradients) {
        Runs.checkBackward(arguments, gradients);
        PlainConv.backward(arguments, gradients);
    }
}
