package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.put;

import java.lang.foreign.MemorySegment;
import java.util.function.IntConsumer;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.WeightFormat;

/**
 * The product of a matrix with the rows of a sequence ("tokens"): a task takes a block of the matrix's rows through the
 * whole sequence.
 *
 * <p>Every result is a dot product whose lanes run along both operands as they lie in memory, so nothing is transposed,
 * and a mapped file is read where it is. What it costs to fetch a weight is shared by a tile of {@value #TILE} rows of the
 * matrix and {@value #TILE} tokens, whose sums are held in registers; for a single token the tile is {@value #TILE} × 1
 * and the time is the memory's. Each sum adds its terms in the same order in either tile, so a token gets the same bits
 * alone and in company.
 *
 * <p>Narrower formats are widened to float32, bfloat16 in registers for a single token; for several a task's block is
 * widened once, into scratch that stays in the second-level cache while the tokens pass, {@value #TILE} at a time. Libraries that
 * transpose their operands use larger tiles; that would save loads which are not the bottleneck here, and cost a short
 * prompt the transposition of all weights.
 */
final class Product implements IntConsumer {
    /** Rows and tokens of a tile. */
    static final int TILE = 4;

    /** Bytes of float32 weights of a task: handing it out costs nothing beside it, and work is shared evenly. */
    private static final int TASK_BYTES = 1 << 18;

    private WeightFormat format = WeightFormat.F32;
    private long weight;
    private long weightStride;
    private int rows;
    private int columns;
    private int rowsPerTask;
    private long x;
    private long xStride;
    private long y;
    private long yStride;
    private int length;
    private long bias;

    /** Takes arguments that were checked and are not empty. */
    void prepare(Matrix matrix, Rows from, MemorySegment offsets, Rows to) {
        format = matrix.format();
        weight = matrix.data().address();
        weightStride = matrix.rowBytes();
        rows = matrix.rows();
        columns = matrix.columns();
        int fit = Math.clamp(TASK_BYTES / Math.max(1L, 4L * columns), 1, rows);
        rowsPerTask = Math.ceilDiv(fit, TILE) * TILE;
        x = ScanLayout.address(from, 0, 0, 0);
        xStride = ScanLayout.stride(from);
        y = ScanLayout.address(to, 0, 0, 0);
        yStride = ScanLayout.stride(to);
        length = from.length();
        bias = offsets.byteSize() == 0 ? 0 : offsets.address();
    }

    int tasks() {
        return Math.ceilDiv(rows, rowsPerTask);
    }

    @Override
    public void accept(int task) {
        int first = task * rowsPerTask;
        int count = Math.min(rows - first, rowsPerTask);
        long block = weight + first * weightStride;
        if (length == 1) {
            oneToken(block, count, y + 4L * first);
        } else {
            long stride = 4L * columns;
            long wide = format == WeightFormat.F32 ? block : widened(block, count, stride);
            manyTokens(wide, stride, count, y + 4L * first);
        }
        if (bias != 0) {
            for (int t = 0; t < length; t++) {
                DenseLoops.add(y + 4L * first + t * yStride, bias + 4L * first, count);
            }
        }
    }

    private void oneToken(long block, int count, long to) {
        int whole = count / TILE * TILE;
        long stride = 4L * columns;
        for (int row = 0; row < whole; row += TILE) {
            long w = block + row * weightStride;
            switch (format) {
                case F32 -> DotLoops.f32(w, stride, x, columns, to + 4L * row);
                case BF16 -> DotLoops.bf16(w, weightStride, x, columns, to + 4L * row);
                // In registers they would exceed the compiler's budget; four rows fit the first-level cache.
                case F16, Q8, Q4 -> DotLoops.f32(widened(w, TILE, stride), stride, x, columns, to + 4L * row);
            }
        }
        if (whole < count) {
            long from = block + whole * weightStride;
            long wide = format == WeightFormat.F32 ? from : widened(from, count - whole, stride);
            for (int row = whole; row < count; row++) {
                put(to + 4L * row, DotLoops.one(wide + (row - whole) * stride, x, columns));
            }
        }
    }

    private long widened(long block, int count, long stride) {
        long vectors = Math.ceilDiv(count * stride, Lanes.BYTES);
        long to = Scratch.ofThread(vectors).take(vectors);
        for (int row = 0; row < count; row++) {
            switch (format) {
                case F32 -> throw new AssertionError("F32 is wide");
                case BF16 -> Widening.bf16(block + row * weightStride, columns, to + row * stride);
                case F16 -> Widening.f16(block + row * weightStride, columns, to + row * stride);
                case Q8 -> Widening.q8(block + row * weightStride, columns, to + row * stride);
                case Q4 -> Widening.q4(block + row * weightStride, columns, to + row * stride);
            }
        }
        return to;
    }

    private void manyTokens(long block, long stride, int count, long to) {
        int wholeRows = count / TILE * TILE;
        int wholeTokens = length / TILE * TILE;
        float[] sums = Scratch.ofThread(0).scalars(TILE * TILE * Lanes.COUNT);
        for (int t = 0; t < wholeTokens; t += TILE) {
            for (int row = 0; row < wholeRows; row += TILE) {
                long w = block + row * stride;
                long token = x + t * xStride;
                DotLoops.tile(w, stride, token, xStride, columns, sums);
                DotLoops.finish(sums, w, stride, token, xStride, columns, to + t * yStride + 4L * row, yStride);
            }
        }
        for (int t = wholeTokens; t < length; t++) {
            for (int row = 0; row < wholeRows; row += TILE) {
                DotLoops.f32(block + row * stride, stride, x + t * xStride, columns, to + t * yStride + 4L * row);
            }
        }
        for (int row = wholeRows; row < count; row++) {
            for (int t = 0; t < length; t++) {
                put(to + t * yStride + 4L * row, DotLoops.one(block + row * stride, x + t * xStride, columns));
            }
        }
    }
}
