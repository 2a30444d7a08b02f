package org.mamba4j.torch.decode;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * What a layer does between in_proj and out_proj in a step of a batch, for the usual sizes in bfloat16: {@code
 * cuda/decode_select.cu} and {@code cuda/decode_state.cu}, which explain themselves. {@code cuda/decode_batch.cu} has the
 * same for any sizes.
 */
final class MixerKernels {
    /** Bytes of the kernels' {@code SelectParams} and {@code StateParams}: pointers, a 64-bit integer and an int, padded. */
    private static final long SELECT_BYTES = 6 * 8 + 8;

    private static final long STATE_BYTES = 9 * 8 + 8;
    private static final int SELECT_THREADS = 512;
    private static final int STATE_THREADS = 256;
    private static final int CLUSTER = 8;

    /** Weights of a layer's in_proj up to so many bytes are asked for ahead; more drive the states out of the cache. */
    private static final long MOST_AHEAD = 8 << 20;

    private static final int SELECT_ROWS = 16;
    private static final int STATE_CHANNELS = 64;
    private static final int STATE_ROWS = 8;

    private final DecodeWeights weights;
    private final DecodeState state;
    private final Activations activations;
    private final KernelModule select;
    private final KernelModule states;

    /**
     * What goes in and out.
     *
     * @param xz (B, 2D), read
     * @param u (B, D), for itself
     * @param select (B, R + 2N padded), for itself
     * @param y (B, D), the result
     */
    record Activations(Tensor xz, Tensor u, Tensor select, Tensor y) {}

    /** For the current device and sizes that are supported. */
    MixerKernels(DecodeWeights weights, DecodeSizes sizes, DecodeState state, Activations activations) {
        this.weights = weights;
        this.state = state;
        this.activations = activations;
        this.select = KernelModule.load(MixerKernels.class, "decode_select.cu", sizes.options("-DCLUSTER=" + CLUSTER));
        this.states = KernelModule.load(MixerKernels.class, "decode_state.cu", sizes.options());
    }

    /** Whether they take these sizes on the current device. */
    static boolean supports(DecodeSizes sizes) {
        MambaConfig config = sizes.config();
        return sizes.type() == ScalarType.BFloat16
                && config.dConv() == 4
                && config.dInner() % (CLUSTER * SELECT_ROWS) == 0
                && config.dState() % 16 == 0
                && config.dtRank() % 8 == 0
                && torch_cuda.getCurrentDeviceProperties().major() >= 9
                && sharedBytes(sizes) <= torch_cuda.getCurrentDeviceProperties().sharedMemPerBlockOptin();
    }

    /** Shared memory of a block of decode_select.cu, and a reserve for what is declared in it. */
    private static long sharedBytes(DecodeSizes sizes) {
        long slice = sizes.config().dInner() / CLUSTER;
        long row = Math.max(2L * slice + 16, 4L * sizes.selectRow());
        long product = Math.max(
                slice * (2L * sizes.selectRow() + 16), SELECT_THREADS / 64L * SELECT_ROWS * 4 * sizes.selectRow());
        return SELECT_ROWS * row + product + slice * 5 * Float.BYTES + 2048;
    }

    /** Launches both for a layer; the first starts before the kernel before has ended, if that lets it. */
    void launch(int layer) {
        TensorScope.run(() -> {
            int batch = state.batch();
            int channels = Math.toIntExact(activations.u.size(1));
            Tensor channel = weights.channel.select(0, layer);
            LaunchShape selecting = LaunchShape.grid(CLUSTER, Math.ceilDiv(batch, SELECT_ROWS), 1, SELECT_THREADS)
                    .withSharedBytes(select.ints("decode_select_shared")[0])
                    .starting(LaunchShape.Start.EARLY);
            select.kernel("decode_select").launch(selecting, SELECT_BYTES, to -> {
                List.of(activations.xz, weights.xProj.select(0, layer), channel).forEach(to::pointer);
                List.of(state.conv().select(0, layer), activations.u, activations.select)
                        .forEach(to::pointer);
                to.int32(batch);
            });
            LaunchShape stepping = LaunchShape.grid(
                            channels / STATE_CHANNELS, Math.ceilDiv(batch, STATE_ROWS), 1, STATE_THREADS)
                    .withSharedBytes(states.ints("decode_state_shared")[0])
                    .starting(LaunchShape.Start.EARLY);
            states.kernel("decode_state").launch(stepping, STATE_BYTES, to -> {
                List.of(activations.u, activations.xz, activations.select, weights.dtProj.select(0, layer))
                        .forEach(to::pointer);
                List.of(channel, state.h().select(0, layer), activations.y).forEach(to::pointer);
                ahead(to, layer + 1);
                to.int32(batch);
            });
        });
    }

    /** The next product's weights, for a kernel to ask for: those of in_proj of {@code layer}, which may be one past the last. */
    private void ahead(StructWriter to, int layer) {
        if (layer < weights.inProj.size(0)) {
            Tensor next = weights.inProj.select(0, layer);
            if (next.nbytes() <= MOST_AHEAD) {
                to.pointer(next).int64(next.nbytes());
                return;
            }
        }
        to.absent().int64(0);
    }
}
