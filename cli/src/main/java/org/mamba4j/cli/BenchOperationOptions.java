package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.mamba4j.json.JsonObject;
import org.mamba4j.torch.bench.Ceilings;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.bench.OperationBenchmark;
import org.mamba4j.torch.bench.Pass;
import org.mamba4j.torch.bench.PassResult;
import org.mamba4j.torch.bench.Reference;
import org.mamba4j.torch.bench.SequenceShape;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What the benchmarks of single operations share: shape, passes and report. */
final class BenchOperationOptions {
    @Mixin
    private BenchOptions options = new BenchOptions();

    @Option(names = "--batch", paramLabel = "B", description = "Sequences (default: that of the first row).")
    private @Nullable Integer batch;

    @Option(names = "--width", paramLabel = "D", description = "Channels (default: that of the first row).")
    private @Nullable Integer width;

    @Option(names = "--length", paramLabel = "L", description = "Steps (default: that of the first row).")
    private @Nullable Integer length;

    @Option(
            names = "--passes",
            paramLabel = "PASS",
            split = ",",
            description = "What is measured (default: forward,backward).")
    private List<String> passes = List.of("forward", "backward");

    @Option(
            names = "--repeats",
            paramLabel = "N",
            description = "Measurements, of which the median counts (default: ${DEFAULT-VALUE}).")
    private int repeats = 15;

    Machine machine() {
        return options.machine();
    }

    /**
     * The one that the user describes, or several.
     *
     * @param rows measured where the user describes none
     * @param inner states or taps, if the user names them
     */
    List<SequenceShape> shapes(List<SequenceShape> rows, @Nullable Integer inner) {
        if (batch == null && width == null && length == null && inner == null) {
            return rows;
        }
        SequenceShape first = rows.getFirst();
        return List.of(new SequenceShape(
                or(batch, first.batch()),
                or(length, first.length()),
                or(width, first.channels()),
                or(inner, first.inner())));
    }

    private static int or(@Nullable Integer value, int otherwise) {
        return value == null ? otherwise : value;
    }

    /** Measures, prints and writes. */
    void run(
            String what,
            Machine machine,
            Function<org.mamba4j.torch.kernel.Precision, List<OperationBenchmark>> benchmarks) {
        List<Pass> wanted = passes.stream().map(Pass::of).distinct().toList();
        List<OperationBenchmark> all = benchmarks.apply(options.precision(machine));
        BenchReport report = new BenchReport(what, options.device(), machine);
        Ceilings ceilings = machine.ceilings();
        System.out.printf(
                Locale.ROOT,
                "ceilings measured: copy %,.0f GB/s, %,.1f G exponentials/s%n%n",
                ceilings.bytesPerSecond() * 1e-9,
                ceilings.exponentialsPerSecond() * 1e-9);
        report.put("copy_bytes_per_second", ceilings.bytesPerSecond())
                .put("exponentials_per_second", ceilings.exponentialsPerSecond());
        List<PassResult> results = new ArrayList<>();
        for (OperationBenchmark benchmark : all) {
            results.addAll(benchmark.run(wanted, repeats));
        }
        print(results, ceilings, machine.name());
        results.forEach(result -> report.row(json(result, ceilings, machine.name())));
        options.write(report);
    }

    private static void print(List<PassResult> results, Ceilings ceilings, String machine) {
        Table table = new Table("lllrrrrrrrrr")
                .row(
                        "work", "steps", "pass", "µs", "least", "MB", "of copy", "M exp", "of rate", "ref µs", "ratio",
                        "off");
        for (PassResult result : results) {
            OptionalDouble reference = Reference.of(result.key(), machine);
            double seconds = result.timing().medianSeconds();
            table.row(
                    result.work(),
                    result.note(),
                    result.pass().key(),
                    decimals(seconds * 1e6, 1),
                    decimals(result.timing().leastSeconds() * 1e6, 1),
                    decimals(result.cost().bytes() * 1e-6, 1),
                    percent(result.fractionOfCopy(ceilings)),
                    decimals(result.cost().exponentials() * 1e-6, 1),
                    percent(result.fractionOfExponentials(ceilings)),
                    reference.isPresent() ? decimals(reference.getAsDouble() * 1e6, 0) : "",
                    reference.isPresent() ? decimals(reference.getAsDouble() / seconds, 2) : "",
                    percent(result.answer().worst()));
        }
        table.lines().forEach(System.out::println);
        System.out.println();
        for (PassResult result : results) {
            if (result.pass() == results.getFirst().pass()) {
                System.out.printf(
                        Locale.ROOT,
                        "%s: results and gradients of %s agree with the reference%n",
                        (result.work() + " " + result.note()).strip(),
                        result.work().contains(" L" + result.answer().steps() + " ")
                                ? "all steps"
                                : String.format(
                                        Locale.ROOT,
                                        "the first %,d steps",
                                        result.answer().steps()));
            }
        }
        System.out.println(
                "off: the worst element, in parts of the tolerance; of copy, of rate: the least time by each ceiling");
    }

    private static JsonObject json(PassResult result, Ceilings ceilings, String machine) {
        JsonObject.Builder row = JsonObject.builder()
                .put("work", result.work())
                .put("inputs", result.note())
                .put("pass", result.pass().key())
                .put("precision", result.precision())
                .put("median_seconds", result.timing().medianSeconds())
                .put("least_seconds", result.timing().leastSeconds())
                .put("bytes", result.cost().bytes())
                .put("exponentials", result.cost().exponentials())
                .put("fraction_of_copy", result.fractionOfCopy(ceilings))
                .put("fraction_of_exponentials", result.fractionOfExponentials(ceilings))
                .put("checked_steps", result.answer().steps())
                .put("worst_of_tolerance", result.answer().worst());
        OptionalDouble reference = Reference.of(result.key(), machine);
        if (reference.isPresent()) {
            row.put("reference_seconds", reference.getAsDouble())
                    .put("ratio", reference.getAsDouble() / result.timing().medianSeconds());
        }
        return row.build();
    }

    private static String decimals(double value, int places) {
        return String.format(Locale.ROOT, "%,." + places + "f", value);
    }

    private static String percent(double fraction) {
        return String.format(Locale.ROOT, "%.0f %%", 100 * fraction);
    }
}
