package org.mamba4j.kernel.vector;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.mamba4j.kernel.WeightFormat;

/**
 * Gets vector loops compiled in the background of a program that has just started.
 *
 * <p>A vector operation is an instruction once the optimising compiler has seen its loop, and before that hundreds of calls: a
 * hundred times slower than the same loop written number by number, which the first compiler makes fast at once. A first
 * token that had to wait for all loops took 2.7 s of processor time. So until a part's vector loops are compiled its work
 * is done by {@link ScalarLoops}, with the same bits, while a thread here calls the vector loops on numbers of its own; as
 * soon as they are the faster of the two they take over, for good.
 *
 * <p>Only programs that ask for it begin so ({@link VectorDense#starting}): parts are ready otherwise, as tests and benchmarks
 * of the vector loops need it.
 */
final class WarmUp {
    static final WarmUp F32 = new WarmUp(WeightFormat.F32);
    static final WarmUp BF16 = new WarmUp(WeightFormat.BF16);
    static final WarmUp F16 = new WarmUp(WeightFormat.F16);
    static final WarmUp Q8 = new WarmUp(WeightFormat.Q8);
    static final WarmUp Q4 = new WarmUp(WeightFormat.Q4);

    /** Norms and single steps of scan and convolution. */
    static final WarmUp STEP = new WarmUp(WeightFormat.F32);

    private static final Logger LOGGER = System.getLogger(WarmUp.class.getPackageName());

    /** Numbers of a row of the warm-up: some vectors of every width, and for formats without blocks some numbers more. */
    private static final int COLUMNS = 192;

    private static final int ROWS = 4;

    /** Where vector loops are not compiled to instructions at all, they never become the faster ones. */
    private static final long PATIENCE_NANOS = 120_000_000_000L;

    /** A program's first token is to have all processors; after so many products, or so long, it is there. */
    private static final long PRODUCTS = 2_000_000_000;

    private static final long DELAY_NANOS = 5_000_000_000L;
    private static final long LOOK_NANOS = 20_000_000;

    /** Products that scalar loops have computed. */
    private static final LongAdder DONE = new LongAdder();

    private static final Set<WarmUp> WANTED = new HashSet<>();
    private static boolean running;

    private final WeightFormat format;
    private volatile boolean cold;

    private WarmUp(WeightFormat format) {
        this.format = format;
    }

    /** Lets every part begin with its scalar loops. */
    static void begin() {
        for (WarmUp part : List.of(F32, BF16, F16, Q8, Q4, STEP)) {
            part.cold = true;
        }
    }

    static WarmUp of(WeightFormat format) {
        return switch (format) {
            case F32 -> F32;
            case BF16 -> BF16;
            case F16 -> F16;
            case Q8 -> Q8;
            case Q4 -> Q4;
        };
    }

    /** Whether the scalar loops are to be used still. */
    boolean isCold() {
        if (!cold) {
            return false;
        }
        want(this);
        return true;
    }

    /** Scalar loops have computed so many products. */
    static void count(long products) {
        DONE.add(products);
    }

    private static synchronized void want(WarmUp part) {
        if (part.cold && WANTED.add(part) && !running) {
            running = true;
            Thread thread = new Thread(WarmUp::warmAll, "mamba4j-warm-up");
            thread.setDaemon(true);
            thread.start();
        }
    }

    private static synchronized List<WarmUp> wanted() {
        WANTED.removeIf(part -> !part.cold);
        running = !WANTED.isEmpty();
        return List.copyOf(WANTED);
    }

    private static void warmAll() {
        long begin = System.nanoTime() + DELAY_NANOS;
        while (DONE.sum() < PRODUCTS && System.nanoTime() < begin) {
            LockSupport.parkNanos(LOOK_NANOS);
        }
        long end = System.nanoTime() + PATIENCE_NANOS;
        Map<WarmUp, Trial> trials = new HashMap<>();
        for (List<WarmUp> parts = wanted(); !parts.isEmpty(); parts = wanted()) {
            for (WarmUp part : parts) {
                if (trials.computeIfAbsent(part, WarmUp::trial).vectorWins()) {
                    part.cold = false;
                }
            }
            if (System.nanoTime() > end) {
                LOGGER.log(
                        Level.WARNING,
                        "This JVM does not compile vector loops to anything faster than scalar ones, which are used instead");
                return; // still running, so nobody begins again
            }
        }
    }

    private static Trial trial(WarmUp part) {
        return part == STEP ? new StepTrial() : new ProductTrial(part.format);
    }

    /** Both forms of a part's loops on the same numbers. */
    private abstract static class Trial {
        private static final int CALLS = 20;

        final MemorySegment memory = Arena.ofAuto().allocate(1 << 16, 64);
        private long scalarNanos = Long.MAX_VALUE;

        Trial() {
            for (long i = 0; i < memory.byteSize() / Float.BYTES; i++) {
                memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.5f - i % 7 * 0.1f);
            }
        }

        final long at(int floats) {
            return memory.address() + 4L * floats;
        }

        final boolean vectorWins() {
            long vectorNanos = Long.MAX_VALUE;
            for (int call = 0; call < CALLS; call++) {
                long start = System.nanoTime();
                vector();
                long middle = System.nanoTime();
                scalar();
                vectorNanos = Math.min(vectorNanos, middle - start);
                scalarNanos = Math.min(scalarNanos, System.nanoTime() - middle);
            }
            return vectorNanos < scalarNanos;
        }

        abstract void vector();

        abstract void scalar();
    }

    /** The products of a format: of single tokens, and of tiles. */
    private static final class ProductTrial extends Trial {
        private final WeightFormat format;
        private final int columns;
        private final long stride;
        private final Product product = new Product();

        ProductTrial(WeightFormat format) {
            this.format = format;
            columns = format.isQuantised() ? COLUMNS : COLUMNS + 5;
            stride = format.bytes(columns);
        }

        @Override
        void vector() {
            product.warmUp(format, at(0), stride, ROWS + 1, columns, at(8192), Product.TILE + 1, at(12288));
            if (!format.isQuantised()) {
                long row = format.bytes(RowLoops.FOUR);
                product.warmUp(format, at(0), row, ROWS + 1, RowLoops.FOUR, at(8192), 1, at(12288));
            }
        }

        @Override
        void scalar() {
            ScalarLoops.product(
                    format,
                    at(0),
                    stride,
                    ROWS + 1,
                    columns,
                    at(8192),
                    4L * columns,
                    Product.TILE + 1,
                    at(12288),
                    4L * (ROWS + 1));
        }
    }

    /** A norm, and a step of the recurrence with its activations. */
    private static final class StepTrial extends Trial {
        private static final int CHANNELS = 32;
        private static final int STATES = 16;

        private final StepFrame frame = StepFrame.ofThread();

        StepTrial() {
            frame.states = STATES;
            frame.epsilon = 1e-5f;
            frame.delta = at(0);
            frame.before = at(1024);
            frame.after = at(1024);
            frame.b = at(2048);
            frame.c = at(2304);
            frame.power = at(2816);
        }

        @Override
        void vector() {
            frame.count = COLUMNS + 5;
            frame.x = at(4096);
            frame.input = at(8192);
            frame.a = at(5120);
            frame.y = at(6144);
            frame.run(Norm.VECTORS);
            frame.count = CHANNELS;
            frame.x = at(3072);
            frame.input = at(256);
            frame.a = at(512);
            frame.y = at(2560);
            frame.run(StepFrame.SOFTPLUS);
            frame.run(StepFrame.SILU);
            ScanStep.recurrence(frame, Scratch.ofThread(ScanStep.padding(CHANNELS, STATES)));
        }

        @Override
        void scalar() {
            ScalarLoops.norm(at(4096), at(8192), at(5120), 1e-5f, COLUMNS + 5, at(6144));
            ScalarLoops.softplus(at(3072), CHANNELS);
            ScalarLoops.silu(at(3072), CHANNELS);
            ScalarLoops.recurrence(frame);
        }
    }
}
