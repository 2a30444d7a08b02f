package org.mamba4j.torch.decode;

import org.bytedeco.cuda.cudart.cudaDeviceProp;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.UserError;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/** One sequence, whole tokens in one kernel: {@code cuda/decode_tokens.cu}, which explains itself. */
final class TokenKernel implements AutoCloseable {
    /** Bytes of the kernel's {@code TokenParams}: 20 pointers and 64-bit integers, 7 fields of 32 bits, padded. */
    private static final long PARAMETER_BYTES = 20 * 8 + 8 * 4;

    private static final int WARP = 32;
    private static final int WARPS = 12;
    private static final int WARPS_OF_WIDE = 15; // all that the registers suffice for
    private static final int WIDE = 1024;
    private static final int MOST_BLOCKS = 255;
    private static final int MOST_ROWS_OF_HEAD = 1 << 16;
    private static final int WIDEST = 2560;
    private static final int STAGE_WANTED = 24 * 1024;
    private static final int FEWEST_STAGES = 4;
    private static final int MOST_STAGES = 64;
    private static final int SPREAD = 256;
    private static final int GROUP = 8;
    private static final int GROUP_OF_WIDE = 16;

    /** What is done with a step's output; the numbers are the kernel's. */
    enum Head {
        /** Nothing: the tokens to read are given. */
        NONE(0),
        /** The most likely token is read next. */
        GREEDY(1),
        /** Logits of a single step. */
        LOGITS(2);

        private final int number;

        Head(int number) {
            this.number = number;
        }
    }

    private final DecodeWeights weights;
    private final DecodeSizes sizes;
    private final Geometry geometry;
    private final KernelModule module;
    private final Tensor selectSums;
    private final Tensor residualSums;
    private final Tensor best;
    private final Tensor result; // (2): steps done; whether a number was out of range
    private int epoch = 1;

    private TokenKernel(DecodeWeights weights, DecodeSizes sizes, String device, Geometry geometry) {
        this.weights = weights;
        this.sizes = sizes;
        this.geometry = geometry;
        this.module = KernelModule.load(
                TokenKernel.class,
                "decode_tokens.cu",
                sizes.options(
                        "-DSPREAD=" + SPREAD,
                        "-DRESIDUAL_GROUP=" + geometry.group,
                        "-DCHANNELS=" + geometry.channels,
                        "-DWARPS=" + geometry.warps,
                        "-DSTAGE_BYTES=" + geometry.stageBytes,
                        "-DSTAGES=" + geometry.stages));
        MambaConfig config = sizes.config();
        this.selectSums = DeviceMemory.zeros(device, ScalarType.Long, SPREAD, config.xProjSize());
        this.residualSums =
                DeviceMemory.zeros(device, ScalarType.Long, SPREAD, Math.ceilDiv(config.dModel(), geometry.group));
        this.best = DeviceMemory.zeros(device, ScalarType.Long, geometry.blocks);
        this.result = DeviceMemory.zeros(device, ScalarType.Int, 2);
    }

    /** Whether it can run this model on the current device. */
    static boolean supports(DecodeSizes sizes) {
        return Geometry.of(sizes).fits(sizes);
    }

    /** For the current device, where it is supported. */
    static TokenKernel of(DecodeWeights weights, DecodeSizes sizes, String device) {
        return new TokenKernel(weights, sizes, device, Geometry.of(sizes));
    }

    /**
     * Reads {@code steps} tokens of one sequence.
     *
     * @param state of one or more sequences
     * @param sequence which of them
     * @param tokens int32, the first is read first; of the others, depending on {@code head}, as many as steps are
     *     overwritten, or one less are read
     * @param logits of the last position (V) float32, or absent
     * @param stop (any number) int32: ends after choosing one of them; or absent
     */
    void run(DecodeState state, int sequence, Tensor tokens, int steps, Head head, Tensor logits, Tensor stop) {
        if (steps == 0) {
            return;
        }
        MambaConfig config = sizes.config();
        LaunchShape shape = LaunchShape.of(geometry.blocks, WARP * (geometry.warps + 1))
                .withSharedBytes(geometry.stages * geometry.stageBytes)
                .starting(LaunchShape.Start.ALL_AT_ONCE);
        TensorScope.run(() -> module.kernel("decode_tokens").launch(shape, PARAMETER_BYTES, to -> {
            pointers(to, state, sequence, tokens, logits, stop);
            to.int64(state.conv().stride(0)).int64(state.h().stride(0));
            to.int32(config.nLayer()).int32(config.vocabSize()).int32(steps).int32(epoch);
            to.int32(stop.defined() ? Math.toIntExact(stop.numel()) : 0).int32(head.number);
            to.float32((float) config.normEpsilon());
        }));
        epoch += steps;
    }

    private void pointers(StructWriter to, DecodeState state, int sequence, Tensor tokens, Tensor logits, Tensor stop) {
        to.pointer(weights.embedding).pointer(weights.head);
        to.pointer(weights.inProj)
                .pointer(weights.xProj)
                .pointer(weights.dtProj)
                .pointer(weights.outProj);
        to.pointer(weights.channel).pointer(weights.norm);
        to.pointer(state.conv().select(1, sequence)).pointer(state.h().select(1, sequence));
        to.pointer(selectSums).pointer(residualSums).pointer(best);
        to.pointer(tokens).pointer(result);
        to.pointer(state.hidden().select(0, sequence)).pointer(logits).pointer(stop);
    }

    /**
     * Waits for what was launched.
     *
     * @return how many tokens the last call of {@link #run} has read
     * @throws UserError if a number of any call was out of range
     */
    int finish() {
        int[] values = Tensors.toInts(result);
        if (values[1] != 0) {
            TensorScope.run(result::zero_);
            throw new UserError(
                    "the model computes numbers that are infinite, no numbers or beyond 16 million: its weights"
                            + " are damaged or its training diverged; use an earlier checkpoint");
        }
        return values[0];
    }

    @Override
    public void close() {
        selectSums.close();
        residualSums.close();
        best.close();
        result.close();
    }

    /**
     * How a model is laid out on the multiprocessors.
     *
     * @param channels of a block, in every layer
     * @param blocks that run, each on its own multiprocessor
     * @param warps of a block that compute
     * @param stageBytes of a buffer that weights are copied to
     * @param stages such buffers
     * @param group of the residual's sums that lie next to each other
     */
    private record Geometry(int channels, int blocks, int warps, int stageBytes, int stages, int group) {
        static Geometry of(DecodeSizes sizes) {
            cudaDeviceProp device = torch_cuda.getCurrentDeviceProperties();
            int inner = sizes.config().dInner();
            int channels = Math.ceilDiv(inner, Math.min(device.multiProcessorCount(), MOST_BLOCKS));
            int row = sizes.config().dModel() * sizes.bytes();
            int rows = Math.clamp(STAGE_WANTED / row, 1, channels);
            int stage = Math.max(DecodeSizes.up(smallBytes(sizes, channels), 128), row * rows);
            int rest = 6 * 1024 + 2 * Float.BYTES * sizes.config().dModel();
            int shared = Math.toIntExact(device.sharedMemPerBlockOptin()) - rest;
            int blocks = Math.ceilDiv(inner, channels);
            boolean wide = sizes.config().dModel() > WIDE;
            return new Geometry(
                    channels,
                    blocks,
                    wide ? WARPS_OF_WIDE : WARPS,
                    stage,
                    Math.min(MOST_STAGES, shared / stage),
                    wide ? GROUP_OF_WIDE : GROUP);
        }

        /** What a stage holds of x_proj, dt_proj and the small parameters of a block's channels. */
        private static int smallBytes(DecodeSizes sizes, int channels) {
            return channels
                    * ((sizes.selectRow() + sizes.rankRow()) * sizes.bytes() + sizes.channelRow() * Float.BYTES);
        }

        boolean fits(DecodeSizes sizes) {
            MambaConfig config = sizes.config();
            return !config.useBias()
                    && config.dModel() % 8 == 0
                    && config.dModel() <= WIDEST
                    && config.xProjSize() <= warps * WARP
                    && stages >= FEWEST_STAGES
                    && Math.ceilDiv(config.vocabSize(), blocks) <= MOST_ROWS_OF_HEAD;
        }
    }
}
