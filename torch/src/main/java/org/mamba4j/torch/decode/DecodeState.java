package org.mamba4j.torch.decode;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;

/**
 * What a Mamba remembers of a batch of sequences, on a GPU, float32 and outside of every scope.
 *
 * @param conv the last inputs of each layer's convolution, oldest first (layers, B, D, K - 1)
 * @param h the recurrence's state (layers, B, D, N)
 * @param hidden the output of the final norm after the last token (B, d)
 */
record DecodeState(Tensor conv, Tensor h, Tensor hidden) implements AutoCloseable {
    /** States that have seen nothing. */
    static DecodeState zeros(MambaConfig config, String device, int batch) {
        DeviceMemory.require(
                batch == 1 ? "the state of a sequence" : "the states of " + batch + " sequences",
                bytes(config, batch),
                "use a smaller batch");
        int layers = config.nLayer();
        int inner = config.dInner();
        return new DecodeState(
                DeviceMemory.zeros(device, ScalarType.Float, layers, batch, inner, config.dConv() - 1L),
                DeviceMemory.zeros(device, ScalarType.Float, layers, batch, inner, config.dState()),
                DeviceMemory.zeros(device, ScalarType.Float, batch, config.dModel()));
    }

    static long bytes(MambaConfig config, int batch) {
        return config.stateBytes() * batch;
    }

    int batch() {
        return Math.toIntExact(hidden.size(0));
    }

    /** Forgets everything. */
    void reset() {
        TensorScope.run(() -> {
            conv.zero_();
            h.zero_();
            hidden.zero_();
        });
    }

    /** Takes over the content of a state of the same shapes. */
    void copyFrom(DecodeState other) {
        TensorScope.run(() -> {
            conv.copy_(other.conv);
            h.copy_(other.h);
            hidden.copy_(other.hidden);
        });
    }

    @Override
    public void close() {
        conv.close();
        h.close();
        hidden.close();
    }
}
