package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * Reading notes of one layer or of several on an NVIDIA GPU, forward and backward ({@code cuda/pool_read.cu}, and
 * {@code cuda/pool_read_mma.cu} in bfloat16 on the tensor cores); nothing is gathered, and no (B, L, K) tensor is made.
 *
 * @param grid the sequences
 * @param pools whose notes are read
 * @param gateBias (1) float32
 * @param nothing (1) float32: the logit of reading nothing
 * @param threshold a read gate that is not greater is zero
 * @param product (M, n) float32: what columns of it are a token's query and gate, the next two say
 * @param queryColumn where queries begin, already divided by √s
 * @param gateColumn where the gate stands, without its bias
 */
record CudaPoolRead(
        NoteGrid grid,
        List<Pool> pools,
        Tensor gateBias,
        Tensor nothing,
        double threshold,
        Tensor product,
        int queryColumn,
        int gateColumn) {
    /** Most pools that can be read at once. */
    static final int MOST_POOLS = 8;

    /** Bytes of {@code Pool}: 8 pointers. */
    private static final long POOL_BYTES = 8 * 8;

    /** Bytes of {@code ReadParams} after its pools: 13 pointers and six 32-bit numbers. */
    private static final long PARAMETER_BYTES = 13 * 8 + 6 * 4;

    /** Queries, or notes, of a block. */
    private static final int TILE = 64;

    private static final int MMA_THREADS = 128;
    private static final int MMA_MULTIPLE = 16;
    private static final int MOST_RANGES = 64;
    private static final int LEAST_CHUNKS_PER_RANGE = 4;
    private static final Tensor ABSENT = Tensors.absent();

    /**
     * A layer's notes.
     *
     * @param summaries (M, s) of all tokens, in the type of the activations
     * @param intervals which of them are notes, and for which chunks
     */
    record Pool(Tensor summaries, NoteIntervals intervals) {}

    /**
     * What was read.
     *
     * @param out (M, s) in the type of the activations, rows may be strided: r · Σ attention · summary
     * @param lse (M) float32, for the way back
     */
    record Reading(Tensor out, Tensor lse) {}

    /** Blocks of the kernels that go over queries. */
    static int blocks(NoteGrid grid) {
        return blocksOfSequence(grid) * grid.batch();
    }

    private static int blocksOfSequence(NoteGrid grid) {
        return grid.chunks() * Math.ceilDiv(grid.chunk(), TILE);
    }

    /**
     * @param out to be written, see {@link Reading}
     * @param missed ({@link #blocks}) float32, is written: sums of the attention that went to nothing
     * @return with lse in the caller's scope
     */
    Reading forward(Tensor out, Tensor missed) {
        Tensor lse = Tensors.emptyLike(product, ScalarType.Float, product.size(0));
        Reading reading = new Reading(out, lse);
        launch("read_forward", reading, missed, Gradients.NONE);
        return reading;
    }

    /**
     * What the way back reads and writes.
     *
     * @param out the gradient of {@link Reading#out}, of its shape, type and strides
     * @param product (M, n) in the type of the activations: the columns of queries and gate are written
     * @param dot (M) float32, is written: out · its gradient
     * @param parts ({@link #blocks}, 2) float32, is written: sums of the gradients of gateBias and nothing
     * @param poison (1) int32: set where a note's gradient is no number
     */
    record Gradients(Tensor out, Tensor product, Tensor dot, Tensor parts, Tensor poison) {
        private static final Gradients NONE = new Gradients(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT);
    }

    /** Writes the gradients of query and gate, and adds to those of the pools' notes. */
    void backward(Reading reading, Gradients gradients) {
        launch("read_backward_query", reading, ABSENT, gradients);
        launch("read_backward_notes", reading, ABSENT, gradients);
    }

    private void launch(String kernel, Reading reading, Tensor missed, Gradients gradients) {
        int threads = onTensorCores(reading.out) ? MMA_THREADS : TILE;
        LaunchShape shape = kernel.equals("read_backward_notes")
                ? LaunchShape.grid(
                        grid.tiles(),
                        Math.ceilDiv(grid.chunks(), chunksPerRange()),
                        grid.batch() * pools.size(),
                        threads)
                : LaunchShape.grid(blocksOfSequence(grid), grid.batch(), 1, threads);
        module(reading.out)
                .kernel(kernel)
                .launch(
                        shape,
                        pools.size() * POOL_BYTES + PARAMETER_BYTES,
                        to -> write(to, reading, missed, gradients));
    }

    /** The fields of {@code ReadParams} in pool_read.cu, in their order. */
    private void write(StructWriter to, Reading reading, Tensor missed, Gradients gradients) {
        for (Pool pool : pools) {
            NoteIntervals notes = pool.intervals;
            to.pointer(pool.summaries).pointer(notes.position()).pointer(notes.logGate());
            to.pointer(notes.count()).pointer(notes.starts()).pointer(notes.exit());
            to.pointer(notes.lastExit()).pointer(notes.gradient());
        }
        to.pointer(column(product, queryColumn)).pointer(column(product, gateColumn));
        to.pointer(gateBias).pointer(nothing);
        to.pointer(reading.out).pointer(reading.lse).pointer(missed);
        to.pointer(gradients.out).pointer(gradients.dot);
        to.pointer(column(gradients.product, queryColumn)).pointer(column(gradients.product, gateColumn));
        to.pointer(gradients.parts).pointer(gradients.poison);
        to.int32(grid.length()).int32(grid.chunks());
        to.int32(Math.toIntExact(product.stride(0))).int32(Math.toIntExact(reading.out.stride(0)));
        to.float32((float) threshold).int32(chunksPerRange());
    }

    private static Tensor column(Tensor rows, int first) {
        return rows.defined() ? rows.narrow(1, first, 1) : rows;
    }

    /** Chunks whose queries one block takes, going over notes: few, since notes are few, but not so few that sums travel. */
    private int chunksPerRange() {
        return Math.max(LEAST_CHUNKS_PER_RANGE, Math.ceilDiv(grid.chunks(), MOST_RANGES));
    }

    private int summary() {
        return Math.toIntExact(pools.getFirst().summaries.size(1));
    }

    private boolean isAligned(Tensor out) {
        return summary() % 4 == 0
                && queryColumn % 4 == 0
                && product.stride(0) % 4 == 0
                && out.stride(0) % 4 == 0
                && GpuTensors.beginAligned(product);
    }

    private boolean onTensorCores(Tensor out) {
        return out.scalar_type().intern() == ScalarType.BFloat16
                && isAligned(out)
                && summary() % MMA_MULTIPLE == 0
                && out.stride(0) % MMA_MULTIPLE == 0;
    }

    private KernelModule module(Tensor out) {
        CudaOptions options = CudaOptions.of(out)
                .with("SUMMARY", summary())
                .with("CHUNK", grid.chunk())
                .with("POOLS", pools.size())
                .with("ALIGNED", isAligned(out) ? 1 : 0);
        String file = onTensorCores(out) ? "pool_read_mma.cu" : "pool_read.cu";
        return KernelModule.load(CudaPoolRead.class, file, options.list());
    }
}
