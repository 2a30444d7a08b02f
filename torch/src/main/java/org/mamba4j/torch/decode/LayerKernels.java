package org.mamba4j.torch.decode;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;

/**
 * A whole layer of a step of a batch, its matrix products included, for models of the usual sizes up to a width of 1,024 in
 * bfloat16: {@code cuda/decode_enter.cu}, {@code decode_recur.cu} and {@code decode_leave.cu}, which explain themselves. Each
 * starts, as far as it can without results, while the kernel before is at work.
 *
 * <p>Between layers, {@code normed} is not normalised yet: the scale of a row is found by who reads it.
 */
final class LayerKernels implements AutoCloseable {
    /** Bytes of the kernels' parameters: pointers and, padded, an int, in the first also a float. */
    private static final long ENTER_BYTES = 9 * 8 + 8;

    private static final long RECUR_BYTES = 7 * 8 + 8;
    private static final long LEAVE_BYTES = 6 * 8 + 8;
    private static final int THREADS = 256;
    private static final int RECUR_THREADS = 512;
    private static final int RECUR_SEQUENCES = 4;

    /** Wider rows of in_proj do not fit into shared memory beside what the next kernel asks for. */
    private static final int WIDEST = 1024;

    private final DecodeWeights weights;
    private final DecodeSizes sizes;
    private final DecodeState state;
    private final Activations activations;
    private final KernelModule enter;
    private final KernelModule recur;
    private final KernelModule leave;
    private final int[] entering; // rows, columns, shared memory, tiles of x, tiles of squares
    private final int[] recurring; // channels, shared memory
    private final int[] leaving; // rows, columns, shared memory
    private final Tensor z; // (B, D)
    private final Tensor shares; // (B, tiles of x, R + 2N padded) float32
    private final Tensor squares; // (B, tiles of squares) float32

    /**
     * What goes from kernel to kernel.
     *
     * @param residual (B, d) float32, read and written
     * @param normed (B, d): before the first layer the normalised residual, later times the norm's weight alone
     * @param u (B, D), for itself
     * @param y (B, D), for itself
     */
    record Activations(Tensor residual, Tensor normed, Tensor u, Tensor y) {}

    /** For the current device and sizes that are supported. */
    LayerKernels(DecodeWeights weights, DecodeSizes sizes, DecodeState state, Activations activations) {
        this.weights = weights;
        this.sizes = sizes;
        this.state = state;
        this.activations = activations;
        this.enter = KernelModule.load(LayerKernels.class, "decode_enter.cu", sizes.options());
        this.recur = KernelModule.load(LayerKernels.class, "decode_recur.cu", sizes.options());
        this.leave = KernelModule.load(LayerKernels.class, "decode_leave.cu", sizes.options());
        this.entering = enter.ints("decode_enter_geometry");
        this.recurring = recur.ints("decode_recur_geometry");
        this.leaving = leave.ints("decode_leave_geometry");
        String device = weights.device();
        int batch = state.batch();
        this.z = DeviceMemory.zeros(device, sizes.type(), batch, sizes.config().dInner());
        this.shares = DeviceMemory.zeros(device, ScalarType.Float, batch, entering[3], sizes.selectRow());
        this.squares = DeviceMemory.zeros(device, ScalarType.Float, batch, entering[4]);
    }

    /** Whether they take these sizes on the current device. */
    static boolean supports(DecodeSizes sizes) {
        MambaConfig config = sizes.config();
        return sizes.type() == ScalarType.BFloat16
                && !config.useBias()
                && config.dConv() == 4
                && config.dState() == 16
                && config.dtRank() % 8 == 0
                && config.dModel() % 128 == 0
                && config.dModel() <= WIDEST
                && config.dInner() == 2 * config.dModel()
                && torch_cuda.getCurrentDeviceProperties().major() >= 9;
    }

    /** Launches all three for a layer. */
    void launch(int layer) {
        TensorScope.run(() -> {
            enter(layer);
            recur(layer);
            leave(layer);
        });
    }

    private void enter(int layer) {
        LaunchShape shape = shape(2 * sizes.config().dInner() / entering[1], entering[0], THREADS, entering[2]);
        enter.kernel("decode_enter").launch(shape, ENTER_BYTES, to -> {
            to.pointer(activations.normed);
            if (layer > 0) {
                to.pointer(squares);
            } else {
                to.absent();
            }
            List.of(weights.inProj, weights.xProj, weights.channel, state.conv())
                    .forEach(all -> to.pointer(all.select(0, layer)));
            List.of(activations.u, z, shares).forEach(to::pointer);
            to.int32(state.batch()).float32((float) sizes.config().normEpsilon());
        });
    }

    private void recur(int layer) {
        LaunchShape shape = shape(sizes.config().dInner() / recurring[0], RECUR_SEQUENCES, RECUR_THREADS, recurring[1]);
        recur.kernel("decode_recur").launch(shape, RECUR_BYTES, to -> {
            List.of(shares, activations.u, z).forEach(to::pointer);
            List.of(weights.dtProj, weights.channel, state.h()).forEach(all -> to.pointer(all.select(0, layer)));
            to.pointer(activations.y).int32(state.batch());
        });
    }

    private void leave(int layer) {
        LaunchShape shape = shape(sizes.config().dModel() / leaving[1], leaving[0], THREADS, leaving[2]);
        leave.kernel("decode_leave").launch(shape, LEAVE_BYTES, to -> {
            to.pointer(activations.y).pointer(weights.outProj.select(0, layer));
            to.pointer(activations.residual).pointer(weights.norm.select(0, layer + 1L));
            to.pointer(activations.normed).pointer(squares).int32(state.batch());
        });
    }

    /** Blocks of {@code rows} sequences each. */
    private LaunchShape shape(int across, int rows, int threads, int sharedBytes) {
        return LaunchShape.grid(across, Math.ceilDiv(state.batch(), rows), 1, threads)
                .withSharedBytes(sharedBytes)
                .starting(LaunchShape.Start.EARLY);
    }

    @Override
    public void close() {
        List.of(z, shares, squares).forEach(Tensor::close);
    }
}
