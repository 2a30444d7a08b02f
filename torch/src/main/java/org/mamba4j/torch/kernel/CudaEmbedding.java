package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.GpuTensors.ACTIVATIONS;
import static org.mamba4j.torch.kernel.GpuTensors.FLOAT;
import static org.mamba4j.torch.kernel.GpuTensors.LONG;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * Rows of an embedding table by token id, and the table's gradient, on an NVIDIA GPU ({@code cuda/embedding.cu}). The
 * gradient sorts positions by id and adds up each id's rows in a fixed order: the same call gives the same bits.
 * Allocates nothing and waits for nothing, and what is launched depends on sizes alone, so that it can be captured as a
 * CUDA graph.
 *
 * <p>Shapes: M positions (below 2³¹), V vocabulary, d width. All tensors are contiguous and on the current device. An id
 * outside of [0, V) gives a row of NaN; its gradient goes to the last row of the table, so a step whose loss is not
 * finite must not be made.
 */
public final class CudaEmbedding {
    /** Bytes of the kernels' {@code EmbeddingParams}: 9 pointers, 2 64-bit and 4 32-bit integers. */
    private static final long PARAMETER_BYTES = 9 * 8 + 2 * 8 + 4 * 4;

    private static final int THREADS = 256;
    private static final int WARPS = 8;
    private static final int DIGIT_BITS = 8;
    private static final int DIGITS = 1 << DIGIT_BITS;
    private static final int COLUMNS_PER_WARP = 128;
    private static final int KEYS_PER_BLOCK = 512;
    private static final int POSITIONS_PER_RUN = 32;
    private static final int MAX_BLOCKS = 128;
    private static final int ALIGNMENT = 4;

    private CudaEmbedding() {}

    /**
     * out[m] = table[ids[m]].
     *
     * @param table (V, d) float32 or bfloat16
     * @param ids (M) int64
     * @param out (M, d) float32 is written
     */
    public static void forward(Tensor table, Tensor ids, Tensor out) {
        GpuTensors.require("table", table, ACTIVATIONS, -1, -1);
        GpuTensors.require("ids", ids, LONG, -1);
        GpuTensors.require("out", out, FLOAT, ids.size(0), table.size(1));
        if (out.numel() == 0) {
            return;
        }
        int width = Math.toIntExact(table.size(1));
        long fours = ids.size(0) * Math.ceilDiv(width, 4);
        module(table, width, GpuTensors.beginAligned(table, out))
                .kernel("embedding_forward")
                .launch(
                        LaunchShape.of(Math.toIntExact(Math.ceilDiv(fours, (long) THREADS)), THREADS),
                        PARAMETER_BYTES,
                        to -> {
                            to.pointer(table).pointer(ids).pointer(out);
                            to.absent().absent().absent().absent().absent().absent();
                            to.int64(ids.size(0)).int64(table.size(0));
                            to.int32(width).int32(0).int32(0).int32(0);
                        });
    }

    /**
     * Memory for {@link #backward}: about 16 bytes a position and 8 · d bytes every 32 positions.
     *
     * @param like a tensor of the device
     * @return int32, its size depends on {@code positions} and {@code width} alone
     */
    public static Tensor workspace(Tensor like, long positions, int width) {
        return Tensors.emptyLike(like, ScalarType.Int, Layout.of(positions, width).total);
    }

    /**
     * dTable[ids[m]] += dX[m] for all m.
     *
     * @param dX (M, d) float32 or bfloat16
     * @param ids (M) int64
     * @param dTable (V, d) float32 is added to, so that a tied head's gradient can be there before; else zero it first
     * @param workspace from {@link #workspace} for at least M positions
     */
    public static void backward(Tensor dX, Tensor ids, Tensor dTable, Tensor workspace) {
        GpuTensors.require("dX", dX, ACTIVATIONS, -1, -1);
        GpuTensors.require("ids", ids, LONG, dX.size(0));
        GpuTensors.require("dTable", dTable, FLOAT, -1, dX.size(1));
        GpuTensors.require("workspace", workspace, List.of(ScalarType.Int), -1);
        Layout layout = Layout.of(dX.size(0), dX.size(1));
        if (workspace.size(0) < layout.total) {
            throw new IllegalArgumentException(
                    "workspace of " + workspace.size(0) + " numbers, " + layout.total + " needed");
        }
        if (dX.numel() > 0) {
            new Backward(dX, ids, dTable, workspace, layout).launch();
        }
    }

    private static KernelModule module(Tensor tensor, int width, boolean aligned) {
        CudaOptions options = CudaOptions.of(tensor).with("WIDE", aligned && width % 4 == 0 ? 1 : 0);
        return KernelModule.load(CudaEmbedding.class, "embedding.cu", options.list());
    }

    /**
     * Where things lie in the workspace, in 32-bit numbers: two arrays each of keys and of places (a sort reads one and
     * writes the other), counts, edges.
     *
     * @param per keys that a block sorts
     */
    private record Layout(long positions, int per, int blocks, long array, long counts, long edges, long total) {
        static Layout of(long positions, long width) {
            int rounds = Math.toIntExact(Math.ceilDiv(positions, (long) KEYS_PER_BLOCK * MAX_BLOCKS));
            int per = KEYS_PER_BLOCK * Math.max(1, rounds);
            int blocks = Math.toIntExact(Math.ceilDiv(positions, (long) per));
            long array = Math.ceilDiv(positions, (long) ALIGNMENT) * ALIGNMENT;
            long counts = 4 * array;
            long edges = counts + (long) blocks * DIGITS;
            long total = edges + 2 * width * Math.ceilDiv(positions, (long) POSITIONS_PER_RUN);
            return new Layout(positions, per, blocks, array, counts, edges, total);
        }
    }

    /** One gradient: its sizes and launches. */
    private record Backward(Tensor dX, Tensor ids, Tensor dTable, Tensor workspace, Layout layout) {
        void launch() {
            int width = Math.toIntExact(dX.size(1));
            long positions = layout.positions;
            KernelModule module = module(dX, width, GpuTensors.beginAligned(dX, dTable, workspace));
            int[] geometry = module.ints("embedding_geometry");
            if (geometry[0] != KEYS_PER_BLOCK || geometry[1] != POSITIONS_PER_RUN) {
                throw new IllegalStateException("embedding.cu has the sizes " + Arrays.toString(geometry));
            }
            int bits = Math.max(1, Long.SIZE - Long.numberOfLeadingZeros(dTable.size(0) - 1));
            int passes = Math.ceilDiv(bits, DIGIT_BITS);
            for (int pass = 0; pass < passes; pass++) {
                int done = pass;
                LaunchShape blocks = LaunchShape.of(layout.blocks, THREADS);
                module.kernel("embedding_count").launch(blocks, PARAMETER_BYTES, to -> write(to, done));
                module.kernel("embedding_scatter").launch(blocks, PARAMETER_BYTES, to -> write(to, done));
            }
            int tiles = Math.ceilDiv(width, COLUMNS_PER_WARP);
            int runs = Math.toIntExact(Math.ceilDiv(positions, (long) POSITIONS_PER_RUN));
            int sums = Math.toIntExact(Math.ceilDiv((long) runs * tiles, (long) WARPS));
            module.kernel("embedding_sum")
                    .launch(LaunchShape.of(sums, THREADS), PARAMETER_BYTES, to -> write(to, passes));
            module.kernel("embedding_join")
                    .launch(LaunchShape.grid(runs, tiles, 1, THREADS), PARAMETER_BYTES, to -> write(to, passes));
        }

        /**
         * The fields of {@code EmbeddingParams} in embedding.cu, in their order.
         *
         * @param done passes of the sort that have been made
         */
        private void write(StructWriter to, int done) {
            to.pointer(dX).pointer(ids).pointer(dTable);
            int from = (done + 1) % 2;
            int into = done % 2;
            to.int64(done == 0 ? 0 : keys(from)).int64(done == 0 ? 0 : places(from));
            to.int64(keys(into)).int64(places(into));
            to.int64(at(layout.counts)).int64(at(layout.edges));
            to.int64(layout.positions).int64(dTable.size(0));
            to.int32(Math.toIntExact(dX.size(1))).int32(layout.per).int32(layout.blocks);
            to.int32(done * DIGIT_BITS);
        }

        private long keys(int buffer) {
            return at(2L * buffer * layout.array);
        }

        private long places(int buffer) {
            return keys(buffer) + Integer.BYTES * layout.array;
        }

        private long at(long index) {
            return workspace.data_ptr().address() + Integer.BYTES * index;
        }
    }
}
