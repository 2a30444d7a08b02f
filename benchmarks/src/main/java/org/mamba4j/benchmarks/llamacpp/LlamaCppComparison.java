package org.mamba4j.benchmarks.llamacpp;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;

/**
 * Generates with the pure-Java engine and with llama.cpp, in turns, from the same GGUF files, and prints a table: a model of
 * 130 M parameters with random weights, a prompt of 512 tokens, 64 new ones, float32, half floats and Q8_0, on one and two
 * threads. Beside it stands what the machine reads from memory, which bounds generation token by token.
 *
 * <p>Both run in processes of their own and are timed by the same clock through their Java interfaces; llama.cpp's own
 * account, without the way to Java, stands beside. The texts are compared: with float32 weights they must be the same; with
 * others both round, differently, and part at the first near-tie.
 *
 * <p>Arguments: {@code --short} for a minute instead of ten (fewer rounds, 2 threads, no half floats); {@code --folder DIR}
 * for the models (1.5 GB; default target/llamacpp).
 */
public final class LlamaCppComparison {
    private static final int WARM_UP = 3;
    private static final long BANDWIDTH_BYTES = 1L << 29;

    private final boolean brief;
    private final int prompt;
    private final int newTokens;
    private final Path folder;
    private final List<String> notes = new ArrayList<>();
    private final List<String> complaints = new ArrayList<>();

    private LlamaCppComparison(boolean brief, Path folder) {
        this.brief = brief;
        this.prompt = brief ? 256 : 512;
        this.newTokens = brief ? 32 : 64;
        this.folder = folder;
    }

    /** What one engine did, round by round. */
    private static final class Rounds {
        private final List<Contender.Timing> all = new ArrayList<>();

        /** A number of each round; the median and, in brackets, the best of those are shown. */
        private List<Double> of(ToDoubleFunction<Contender.Timing> number) {
            return all.stream().map(number::applyAsDouble).toList();
        }
    }

    public static void main(String[] args) throws IOException {
        boolean brief = false;
        Path folder = Path.of("target", "llamacpp");
        for (int i = 0; i < args.length; i++) {
            if (args[i].equals("--short")) {
                brief = true;
            } else if (args[i].equals("--folder") && i + 1 < args.length) {
                folder = Path.of(args[++i]);
            } else {
                System.err.println("unknown argument " + args[i] + ": give --short, --folder DIR, or nothing");
                System.exit(2);
            }
        }
        LlamaCppComparison comparison = new LlamaCppComparison(brief, folder);
        comparison.run();
        System.out.println();
        comparison.notes.forEach(System.out::println);
        comparison.complaints.forEach(System.out::println);
        System.exit(comparison.complaints.isEmpty() ? 0 : 1);
    }

    private void run() throws IOException {
        MambaConfig config = ComparisonModel.shape();
        List<WeightFormat> types = brief
                ? List.of(WeightFormat.F32, WeightFormat.Q8)
                : List.of(WeightFormat.F32, WeightFormat.F16, WeightFormat.Q8);
        List<Integer> threads = brief ? List.of(2) : List.of(1, 2);
        List<Path> files = types.stream()
                .map(type -> ComparisonModel.file(folder, config, type))
                .toList();
        System.out.printf(
                Locale.ROOT,
                "%,d parameters, prompt %d, %d new tokens, %d rounds after %d to warm up; medians, (best)%n",
                config.parameterCount(),
                prompt,
                newTokens,
                rounds(),
                WARM_UP);
        System.out.printf("%s, Java %s%n", machine(), Runtime.version());
        double[] bandwidth = new double[3];
        for (int count : threads) {
            double memory = ReadBandwidth.ofMemory(BANDWIDTH_BYTES, count);
            double file = ReadBandwidth.ofFile(files.getFirst(), count);
            bandwidth[count] = Math.max(memory, file);
            System.out.printf(
                    Locale.ROOT,
                    "read bandwidth, %d threads: %.1f GB/s of memory, %.1f of the mapped file%n",
                    count,
                    memory * 1e-9,
                    file * 1e-9);
        }
        System.out.println();
        System.out.println(
                "| weights | threads | tokens/s | mamba4j | java-llama.cpp | ratio | llama.cpp by its own clock |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (int i = 0; i < types.size(); i++) {
            for (int count : threads) {
                compare(types.get(i), files.get(i), count, bandwidth[count]);
            }
        }
    }

    private int rounds() {
        return brief ? 3 : 5;
    }

    private void compare(WeightFormat type, Path file, int threads, double bandwidth) throws IOException {
        Rounds ours = new Rounds();
        Rounds theirs = new Rounds();
        try (ContenderProcess us = start("mamba4j", file, threads);
                ContenderProcess them = start("llama.cpp", file, threads)) {
            for (int i = 0; i < WARM_UP; i++) {
                us.generate();
            }
            them.generate();
            for (int round = 0; round < rounds(); round++) {
                ours.all.add(us.generate());
                theirs.all.add(them.generate());
            }
            String row = "| " + (type == WeightFormat.Q8 ? "Q8_0" : type.name()) + " | " + threads + " | ";
            ToDoubleFunction<Contender.Timing> prefill = timing -> prompt / (timing.firstNanos() * 1e-9);
            ToDoubleFunction<Contender.Timing> decode = timing -> (newTokens - 1) / (timing.restNanos() * 1e-9);
            ToDoubleFunction<Contender.Timing> whole =
                    timing -> newTokens / ((timing.firstNanos() + timing.restNanos()) * 1e-9);
            print(row + "prompt", ours.of(prefill), theirs.of(prefill), shown(measured(them.ownClock("prompt eval"))));
            print(row + "new, one by one", ours.of(decode), theirs.of(decode), shown(measured(them.ownClock("eval"))));
            print(row + "new, over all the time", ours.of(whole), theirs.of(whole), "");
            double read = ComparisonModel.weightBytes(file) * median(ours.of(decode));
            notes.add(String.format(
                    Locale.ROOT,
                    "%s, %d threads: mamba4j reads weights at %.1f GB/s, %.2f of what the machine reads; same text: %s",
                    type == WeightFormat.Q8 ? "Q8_0" : type.name(),
                    threads,
                    read * 1e-9,
                    read / bandwidth,
                    agreement(
                            type,
                            ours.all.getLast().text(),
                            theirs.all.getLast().text())));
        }
    }

    private static void print(String row, List<Double> ours, List<Double> theirs, String ownClock) {
        System.out.printf(
                Locale.ROOT,
                "%s | %s | %s | %.2f | %s |%n",
                row,
                shown(ours),
                shown(theirs),
                median(ours) / median(theirs),
                ownClock);
    }

    private ContenderProcess start(String engine, Path file, int threads) throws IOException {
        Path log = folder.resolve(engine + "-" + file.getFileName() + "-" + threads + ".log");
        return new ContenderProcess(engine, file, threads, prompt, newTokens, log);
    }

    /** Those of the rounds that count. */
    private List<Double> measured(List<Double> all) {
        return all.subList(Math.max(0, all.size() - rounds()), all.size());
    }

    /** How many of the characters at the beginning are the same. */
    private String agreement(WeightFormat type, String mine, String other) {
        int same = 0;
        while (same < Math.min(mine.length(), other.length()) && mine.charAt(same) == other.charAt(same)) {
            same++;
        }
        boolean all = mine.equals(other);
        if (type == WeightFormat.F32 && !all) {
            complaints.add("WRONG: with float32 weights the texts must be the same, but they part after " + same
                    + " of " + mine.length() + " characters:\n  mamba4j   " + mine + "\n  llama.cpp " + other);
        }
        return all ? "yes" : same + " of " + mine.length() + " characters";
    }

    private static String shown(List<Double> values) {
        if (values.isEmpty()) {
            return "-";
        }
        double best = values.stream().mapToDouble(Double::doubleValue).max().orElseThrow();
        return String.format(Locale.ROOT, "%.1f (%.1f)", median(values), best);
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        return sorted.get(sorted.size() / 2);
    }

    private static String machine() throws IOException {
        Path info = Path.of("/proc/cpuinfo");
        String name = !Files.exists(info)
                ? System.getProperty("os.arch")
                : Files.readAllLines(info).stream()
                        .filter(line -> line.startsWith("model name"))
                        .map(line -> line.substring(line.indexOf(':') + 2))
                        .findFirst()
                        .orElse(System.getProperty("os.arch"));
        return Runtime.getRuntime().availableProcessors() + " × " + name;
    }
}
