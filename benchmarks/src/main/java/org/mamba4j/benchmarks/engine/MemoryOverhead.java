package org.mamba4j.benchmarks.engine;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.benchmarks.llamacpp.ComparisonModel;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.inference.engine.JavaLanguageModel;
import org.mamba4j.kernel.Workers;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.TorchLanguageModel;

/**
 * What a MemMamba's memory costs when text is generated on the CPU: the time of a token of the model, logits included, beside
 * that of the Mamba that it is without its memory. {@code MemoryOverhead [FOLDER|random [java|torch [SECONDS]]]}, by
 * default of a model of the shape of 130 M with random weights that notes every token, so that its pools are full, in Java,
 * 30 seconds.
 *
 * <p>Both models are in one process and read short runs of tokens in turn, {@value #RUN} tokens each, so what else goes on in
 * the machine meets both. "Ratio" is the median, over pairs of neighbouring runs, of their quotient, with its quartiles;
 * "least" is the quotient of the shortest runs; "CPU" is that of the processor time of the thread that generates, which is
 * all there is with {@code -Dmamba4j.threads=1}. Before anything is timed, the logits of a model whose memory reads and those
 * of the model without it are compared: were they equal, there would be no memory to speak of.
 */
public final class MemoryOverhead {
    private static final int RUN = 8;
    private static final int TEXT = 4096;
    private static final int LEAST_PAIRS = 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private MemoryOverhead() {}

    /** One of the two models and its times. */
    private static final class Reader {
        private final LanguageModel model;
        private final State state;
        private final float[] logits;
        private final SplittableRandom random = new SplittableRandom(5);
        private double[] nanos = new double[64];
        private double[] cpu = new double[64];
        private int runs;

        Reader(LanguageModel model) {
            this.model = model;
            this.state = model.newState();
            this.logits = new float[model.vocabSize()];
            model.prefill(state, random.ints(TEXT, 0, model.vocabSize()).toArray());
        }

        void run() {
            if (runs == nanos.length) {
                nanos = Arrays.copyOf(nanos, 2 * runs);
                cpu = Arrays.copyOf(cpu, 2 * runs);
            }
            long used = THREADS.getCurrentThreadCpuTime();
            long start = System.nanoTime();
            for (int i = 0; i < RUN; i++) {
                model.step(state, random.nextInt(logits.length));
                model.logits(state, logits);
            }
            nanos[runs] = (System.nanoTime() - start) / (double) RUN;
            cpu[runs++] = (THREADS.getCurrentThreadCpuTime() - used) / (double) RUN;
        }

        void forget() {
            runs = 0;
        }

        double[] times() {
            return Arrays.copyOf(nanos, runs);
        }

        double[] cpuTimes() {
            return Arrays.copyOf(cpu, runs);
        }
    }

    /** @param args model, engine, seconds */
    public static void main(String[] args) {
        Path folder = args.length == 0 || args[0].equals("random") ? random() : Path.of(args[0]);
        String engine = args.length < 2 ? "java" : args[1];
        long nanos = (args.length < 3 ? 30 : Long.parseLong(args[2])) * 1_000_000_000L;
        try (LanguageModel memory = open(Checkpoint.openQuantised(folder), engine);
                LanguageModel mamba = open(Checkpoint.openQuantised(folder).withoutNotes(), engine)) {
            if (!(memory.config() instanceof MemMambaConfig config)) {
                throw new UserError(folder + " holds no MemMamba");
            }
            Reader remembering = new Reader(memory);
            Reader plain = new Reader(mamba);
            for (Pass pass : new Pass[] {new Pass(nanos / 3, false), new Pass(nanos, true)}) {
                pass.run(remembering, plain);
            }
            if (Arrays.equals(remembering.logits, plain.logits)) {
                throw new AssertionError("the memory makes no difference");
            }
            System.out.printf(
                    Locale.ROOT,
                    "%s, engine %s, %d threads; %d layers of %d, %d pairs of %d tokens%n",
                    folder,
                    engine,
                    Workers.shared().parallelism(),
                    config.nLayer(),
                    config.dModel(),
                    plain.runs,
                    RUN);
            report(remembering, plain);
        }
    }

    /** @param counts whether what it measured is kept; if not, it was there for loops to be compiled */
    private record Pass(long nanos, boolean counts) {
        void run(Reader remembering, Reader plain) {
            long end = System.nanoTime() + nanos;
            for (int pair = 0; pair < LEAST_PAIRS || System.nanoTime() < end; pair++) {
                (pair % 2 == 0 ? plain : remembering).run(); // no model always follows the other
                (pair % 2 == 0 ? remembering : plain).run();
            }
            if (!counts) {
                remembering.forget();
                plain.forget();
            }
        }
    }

    private static void report(Reader remembering, Reader plain) {
        double[] ratios = new double[plain.runs];
        for (int i = 0; i < ratios.length; i++) {
            ratios[i] = remembering.nanos[i] / plain.nanos[i];
        }
        System.out.println("| | MemMamba, µs | Mamba, µs | ratio (quartiles) | least | CPU |");
        System.out.println("|---|---|---|---|---|---|");
        System.out.printf(
                Locale.ROOT,
                "| a token | %.1f | %.1f | %.3f (%.3f – %.3f) | %.3f | %.3f |%n",
                quantile(remembering.times(), 0.5) / 1000,
                quantile(plain.times(), 0.5) / 1000,
                quantile(ratios, 0.5),
                quantile(ratios, 0.25),
                quantile(ratios, 0.75),
                quantile(remembering.times(), 0) / quantile(plain.times(), 0),
                quantile(remembering.cpuTimes(), 0.5) / quantile(plain.cpuTimes(), 0.5));
    }

    private static double quantile(double[] values, double share) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[(int) (share * (sorted.length - 1))];
    }

    private static LanguageModel open(Checkpoint checkpoint, String engine) {
        return switch (engine) {
            case "java" -> JavaLanguageModel.open(checkpoint);
            case "torch" -> {
                try (checkpoint) { // whose weights are copied
                    yield TorchLanguageModel.of(checkpoint, MambaKernels.fused());
                }
            }
            default -> throw new UserError("\"" + engine + "\" is no engine: take java or torch");
        };
    }

    private static Path random() {
        Path folder = Path.of("target", "memmamba-130m");
        ComparisonModel.write(
                folder,
                new MemMambaConfig(
                        ComparisonModel.shape(), MemoryConfig.builder().build()));
        return folder;
    }
}
