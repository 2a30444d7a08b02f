package org.mamba4j.cli;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.kernel.Precision;
import picocli.CommandLine.Option;

/** What all benchmarks are told: where, in which precision, where the figures go. */
final class BenchOptions {
    @Option(names = "--device", paramLabel = "cpu|cuda|cuda:N", description = "Where (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Option(
            names = "--precision",
            paramLabel = "float32|bfloat16",
            description = "Of activations (default: bfloat16 on a GPU, float32 on a CPU).")
    private @Nullable String precision;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the figures there too (default: nowhere).")
    private @Nullable Path json;

    String device() {
        return device;
    }

    Machine machine() {
        return Machine.of(device);
    }

    Precision precision(Machine machine) {
        return precision == null ? machine.defaultPrecision() : Precision.of(precision);
    }

    /** Writes the report where the user wants it. */
    void write(BenchReport report) {
        if (json != null) {
            report.write(json);
        }
    }
}
