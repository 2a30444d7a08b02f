package org.mamba4j.torch.decode;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;

/** The product with x_proj in a step of a batch, by a kernel of our own: {@code cuda/decode_select.cu}, which explains itself. */
final class SelectProduct {
    /** Bytes of the kernel's {@code SelectParams}: 3 pointers and an int, padded. */
    private static final long PARAMETER_BYTES = 3 * 8 + 8;

    private static final int ROWS = 16;
    private static final int TILE = 8;
    private static final int THREADS = 256;
    private static final int SLICES_OF_16 = 128;

    private final DecodeSizes sizes;
    private final KernelModule module;
    private final int shared;

    /** For the current device and a model that is supported. */
    SelectProduct(DecodeSizes sizes) {
        this.sizes = sizes;
        this.module = KernelModule.load(SelectProduct.class, "decode_select.cu", sizes.options());
        this.shared = module.ints("decode_select_shared")[0];
    }

    /** Whether a block's operands fit into the current device's shared memory, and its warps' slices into the depth. */
    static boolean supports(DecodeSizes sizes) {
        MambaConfig config = sizes.config();
        long bytes = ROWS * (2L * config.dInner() + 16) + 2L * TILE * config.dInner();
        return sizes.type() == ScalarType.BFloat16
                && config.dInner() % SLICES_OF_16 == 0
                && bytes + 8 * 1024 <= torch_cuda.getCurrentDeviceProperties().sharedMemPerBlockOptin();
    }

    /**
     * Starts before the kernel before has ended, which must be one of ours.
     *
     * @param u (B, D)
     * @param weight (D, R + 2N padded)
     * @param select (B, R + 2N padded), the result
     */
    void launch(Tensor u, Tensor weight, Tensor select) {
        int batch = Math.toIntExact(u.size(0));
        LaunchShape shape = LaunchShape.grid(sizes.selectRow() / TILE, Math.ceilDiv(batch, ROWS), 1, THREADS)
                .withSharedBytes(shared)
                .starting(LaunchShape.Start.EARLY);
        module.kernel("decode_select").launch(shape, PARAMETER_BYTES, to -> {
            List.of(u, weight, select).forEach(to::pointer);
            to.int32(batch);
        });
    }
}
