package org.mamba4j.kernel.vector;

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
 * and a mapped file is read where it is. For a single token the time is the memory's, and {@link RowLoops} reads rows as
 * they are stored. For many, narrower formats are widened to float32 in scratch, a task's block once, which stays in the
 * second-level cache while the tokens pass, and what it costs to fetch a weight is shared by a tile of {@value #TILE} rows
 * and {@value #TILE} tokens, whose sums are held in registers. Each sum adds its terms in the same order either way, so a
 * token gets the same bits alone and in company. Libraries that transpose their operands use larger tiles; that would save
 * loads which are not the bottleneck here, and cost a short prompt the transposition of all weights.
 */
final class Product implements IntConsumer {
    /** Rows and tokens of a tile. */
    static final int TILE = 4;

    /** Rows whose sums are kept as vectors, in the nearest cache; not less than two chains of a tile need. */
    static final int SUMS = 128;

    /** Bytes of float32 weights of a task: handing it out costs nothing beside it, and work is shared evenly. */
    private static final int TASK_BYTES = 1 << 18;

    /** Multiplications, of all tokens, that are not worth a second thread: some 5 µs, of which handing them over takes 1 to 3. */
    private static final int SMALL = 1 << 16;

    /**
     * Sums of the first and of the second chain of a tile, and what they come to; what sums of rows times one token come to,
     * the columns that these leave out, and such rows, {@value #ALIKE} times the same.
     */
    private static final Loop[] LOOPS = {
        Product::firstSums,
        Product::secondSums,
        Product::results,
        Product::finish,
        Product::tail,
        Product::someRows,
        Product::someRows,
        Product::someRows,
        Product::shortRows
    };

    private static final int RESULTS = 2;
    private static final int FINISH = 3;
    private static final int TAIL = 4;
    private static final int ROWS = 5;
    private static final int ALIKE = 3;
    private static final int SHORT_ROWS = ROWS + ALIKE;

    private WeightFormat format = WeightFormat.F32;
    private Widening.Loop widening = Widening.of(WeightFormat.F32);
    private RowLoops.Loop rowLoop = RowLoops.of(WeightFormat.F32, 0);
    private int chains = 1;
    private int calls;
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
        void run(Product product, long w, long token, long to, int count);
    }

    /**
     * The one place that runs inner loops. The compiler must inline none of them here: it would go on to inline all of this
     * into its callers until its budget for one method is spent, in the middle of a loop, whose vectors become objects from
     * there on. It inlines what it sees called most of the time, so where nothing but rows are called, they are called
     * by {@value #ALIKE} names in turn.
     */
    private void run(int loop, long w, long token, long to, int count) {
        LOOPS[loop].run(this, w, token, to, count);
    }

    /**
     * Takes arguments that were checked and are not empty.
     *
     * @param parallelism how many threads the tasks are for
     */
    void prepare(Matrix matrix, Rows from, MemorySegment offsets, Rows to, int parallelism) {
        take(matrix.format(), matrix.data().address(), matrix.rowBytes(), matrix.rows(), matrix.columns());
        int fit = Math.clamp(TASK_BYTES / Math.max(1L, 4L * columns), 1, rows);
        boolean small = (long) rows * columns * from.length() < SMALL;
        // As many tasks for each thread, all of a size.
        int tasks = small ? 1 : Math.ceilDiv(Math.ceilDiv(rows, fit), parallelism) * parallelism;
        rowsPerTask = Math.ceilDiv(Math.ceilDiv(rows, tasks), TILE) * TILE;
        x = ScanLayout.address(from, 0, 0, 0);
        xStride = ScanLayout.stride(from);
        y = ScanLayout.address(to, 0, 0, 0);
        yStride = ScanLayout.stride(to);
        length = from.length();
        bias = offsets.byteSize() == 0 ? 0 : offsets.address();
    }

    private void take(WeightFormat kind, long w, long stride, int count, int width) {
        calls = (calls + 1) % ALIKE;
        format = kind;
        weight = w;
        weightStride = stride;
        widening = Widening.of(format);
        rowLoop = RowLoops.of(format, width);
        chains = RowLoops.chains(format);
        rows = count;
        columns = width;
        floatStride = 4L * columns;
    }

    int tasks() {
        return Math.ceilDiv(rows, rowsPerTask);
    }

    @Override
    public void accept(int task) {
        int first = task * rowsPerTask;
        int count = Math.min(rows - first, rowsPerTask);
        long block = weight + first * weightStride;
        if (WarmUp.of(format).isCold()) {
            WarmUp.count((long) count * columns * length);
            ScalarLoops.product(
                    format, block, weightStride, count, columns, x, xStride, length, y + 4L * first, yStride);
        } else {
            vectors(block, first, count);
        }
        if (bias != 0) {
            for (int t = 0; t < length; t++) {
                add(y + 4L * first + t * yStride, bias + 4L * first, count);
            }
        }
    }

    private void add(long to, long from, int count) {
        if (WarmUp.STEP.isCold()) {
            ScalarLoops.add(to, from, count);
        } else {
            DenseLoops.add(to, from, count);
        }
    }

    private void vectors(long block, int first, int count) {
        int wholeRows = length < TILE ? 0 : count / TILE * TILE;
        int wholeTokens = length / TILE * TILE;
        if (wholeRows > 0) {
            tiles(wide(block, wholeRows), wholeRows, wholeTokens, y + 4L * first);
        }
        for (int t = 0; t < length; t++) {
            int done = t < wholeTokens ? wholeRows : 0;
            long to = y + t * yStride + 4L * (first + done);
            oneToken(block + done * weightStride, count - done, x + t * xStride, to, calls + first + t);
        }
    }

    /** All loops for {@code format} on dense rows and tokens, for {@link WarmUp}. */
    void warmUp(WeightFormat kind, long w, long stride, int count, int width, long tokens, int many, long to) {
        take(kind, w, stride, count, width);
        x = tokens;
        xStride = floatStride;
        y = to;
        yStride = 4L * count;
        length = many;
        bias = 0;
        vectors(w, 0, count);
    }

    private void oneToken(long block, int count, long token, long to, int turn) {
        for (int row = 0; row < count; row += SUMS) {
            int some = Math.min(SUMS, count - row);
            run(
                    columns == RowLoops.FOUR ? SHORT_ROWS : ROWS + turn % ALIKE,
                    block + row * weightStride,
                    token,
                    0,
                    some);
            run(FINISH, 0, 0, to + 4L * row, some);
        }
        if (columns != DenseLoops.whole(columns)) {
            run(TAIL, block, token, to, count);
        }
    }

    private void tiles(long block, int wholeRows, int wholeTokens, long to) {
        for (int t = 0; t < wholeTokens; t += TILE) {
            for (int row = 0; row < wholeRows; row += TILE) {
                long w = block + row * floatStride;
                for (int chain = 0; chain < chains; chain++) {
                    run(chain, w, x + t * xStride, 0, TILE);
                }
                run(RESULTS, w, x + t * xStride, to + t * yStride + 4L * row, TILE);
            }
        }
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

    private static void firstSums(Product p, long w, long token, long to, int count) {
        DotLoops.tile(w, p.floatStride, token, p.xStride, p.columns, 0, p.chains, sums());
    }

    private static void secondSums(Product p, long w, long token, long to, int count) {
        DotLoops.tile(w, p.floatStride, token, p.xStride, p.columns, 1, p.chains, sums());
    }

    private static void results(Product p, long w, long token, long to, int count) {
        DotLoops.finish(sums(), p.chains, w, p.floatStride, token, p.xStride, p.columns, to, p.yStride);
    }

    private static void someRows(Product p, long w, long token, long to, int count) {
        p.rowLoop.run(w, p.weightStride, token, p.columns, sums(), count);
    }

    /** By itself, since the compiler would inline both kinds of loops into one method, and have no budget for the second. */
    private static void shortRows(Product p, long w, long token, long to, int count) {
        p.rowLoop.run(w, p.weightStride, token, p.columns, sums(), count);
    }

    private static void finish(Product p, long w, long token, long to, int count) {
        RowLoops.finish(sums(), to, count);
    }

    private static void tail(Product p, long w, long token, long to, int count) {
        RowLoops.tail(p.format, w, p.weightStride, token, p.columns, to, count);
    }

    /** The calling thread's room for {@value #SUMS} vectors. */
    static float[] sums() {
        return Scratch.ofThread(0).scalars(SUMS * Lanes.COUNT);
    }
}
