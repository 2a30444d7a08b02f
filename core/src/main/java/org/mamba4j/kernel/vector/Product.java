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
 * <p>Narrower formats are widened to float32 in scratch: four rows at a time for a single token, which fit the first-level
 * cache; for several a task's block once, which stays in the second-level cache while the tokens pass, {@value #TILE} at
 * a time. Libraries that
 * transpose their operands use larger tiles; that would save loads which are not the bottleneck here, and cost a short
 * prompt the transposition of all weights.
 */
final class Product implements IntConsumer {
    /** Rows and tokens of a tile. */
    static final int TILE = 4;

    /** Bytes of float32 weights of a task: handing it out costs nothing beside it, and work is shared evenly. */
    private static final int TASK_BYTES = 1 << 18;

    private static final int FOUR_ROWS = 0;
    private static final int ONE_ROW = 1;
    private static final int SQUARE = 2;
    private static final Loop[] LOOPS = {Product::fourRows, Product::oneRow, Product::square};

    private WeightFormat format = WeightFormat.F32;
    private Widening.Loop widening = Widening.of(WeightFormat.F32);
    private long floatStride;
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

    /** One of the inner loops, over a product's rows from {@code w} and tokens from {@code token}. */
    @FunctionalInterface
    private interface Loop {
        void run(Product product, long w, long token, long to);
    }

    /** Takes arguments that were checked and are not empty. */
    void prepare(Matrix matrix, Rows from, MemorySegment offsets, Rows to) {
        format = matrix.format();
        weight = matrix.data().address();
        weightStride = matrix.rowBytes();
        widening = Widening.of(format);
        rows = matrix.rows();
        columns = matrix.columns();
        floatStride = 4L * columns;
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
            manyTokens(wide(block, count), count, y + 4L * first);
        }
        if (bias != 0) {
            for (int t = 0; t < length; t++) {
                DenseLoops.add(y + 4L * first + t * yStride, bias + 4L * first, count);
            }
        }
    }

    private void oneToken(long block, int count, long to) {
        int whole = count / TILE * TILE;
        for (int row = 0; row < whole; row += TILE) {
            // Four rows fit the first-level cache: widening them there costs little, and the weights are still read
            // once.
            call(FOUR_ROWS, wide(block + row * weightStride, TILE), x, to + 4L * row);
        }
        if (whole < count) {
            long wide = wide(block + whole * weightStride, count - whole);
            for (int row = whole; row < count; row++) {
                call(ONE_ROW, wide + (row - whole) * floatStride, x, to + 4L * row);
            }
        }
    }

    private void manyTokens(long block, int count, long to) {
        int wholeRows = count / TILE * TILE;
        int wholeTokens = length / TILE * TILE;
        for (int t = 0; t < wholeTokens; t += TILE) {
            for (int row = 0; row < wholeRows; row += TILE) {
                call(SQUARE, block + row * floatStride, x + t * xStride, to + t * yStride + 4L * row);
            }
        }
        for (int t = wholeTokens; t < length; t++) {
            for (int row = 0; row < wholeRows; row += TILE) {
                call(FOUR_ROWS, block + row * floatStride, x + t * xStride, to + t * yStride + 4L * row);
            }
        }
        for (int row = wholeRows; row < count; row++) {
            for (int t = 0; t < length; t++) {
                call(ONE_ROW, block + row * floatStride, x + t * xStride, to + t * yStride + 4L * row);
            }
        }
    }

    private void call(int loop, long w, long token, long to) {
        LOOPS[loop].run(this, w, token, to);
    }

    /** {@code count} rows as floats: where they are, or in scratch. */
    private long wide(long block, int count) {
        if (format == WeightFormat.F32) {
            return block;
        }
        long vectors = Math.ceilDiv(count * floatStride, Lanes.BYTES);
        long to = Scratch.ofThread(vectors).take(vectors);
        for (int row = 0; row < count; row++) {
            widening.run(block + row * weightStride, columns, to + row * floatStride);
        }
        return to;
    }

    private static void fourRows(Product p, long w, long token, long to) {
        DotLoops.f32(w, p.floatStride, token, p.columns, to);
    }

    private static void oneRow(Product p, long w, long token, long to) {
        put(to, DotLoops.one(w, token, p.columns));
    }

    private static void square(Product p, long w, long token, long to) {
        float[] sums = Scratch.ofThread(0).scalars(TILE * TILE * Lanes.COUNT);
        DotLoops.tile(w, p.floatStride, token, p.xStride, p.columns, sums);
        DotLoops.finish(sums, w, p.floatStride, token, p.xStride, p.columns, to, p.yStride);
    }
}
