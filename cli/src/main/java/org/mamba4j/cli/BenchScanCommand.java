package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.bench.OperationBenchmark;
import org.mamba4j.torch.bench.ScanBenchmark;
import org.mamba4j.torch.bench.SequenceShape;
import org.mamba4j.torch.bench.StepSizes;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "scan",
        description = {
            "Measure the selective scan with z, D, bias and softplus, forward and backward, without the host.",
            "",
            "Results and gradients are compared with the plain kernels' first; a wrong answer is not timed, and the exit code"
                    + " is 1. Without a shape, several rows are measured."
        },
        footer = {"", "Example:  ./mamba4j bench scan --batch 1 --width 1536 --length 2048"})
final class BenchScanCommand implements Runnable {
    @Mixin
    private BenchOperationOptions operation = new BenchOperationOptions();

    @Option(names = "--states", paramLabel = "N", description = "Per channel (default: 16).")
    private @Nullable Integer states;

    @Option(
            names = "--step-sizes",
            paramLabel = "new|large",
            split = ",",
            description =
                    "As in a new model, or about 1, which forgets at once and may be faster (default: new,large).")
    private List<String> stepSizes = List.of("new", "large");

    @Override
    public void run() {
        Machine machine = operation.machine();
        List<StepSizes> sizes = stepSizes.stream().map(StepSizes::of).distinct().toList();
        operation.run("scan", machine, precision -> {
            List<OperationBenchmark> benchmarks = new ArrayList<>();
            for (SequenceShape shape : operation.shapes(ScanBenchmark.shapes(machine), states)) {
                sizes.forEach(size -> benchmarks.add(new ScanBenchmark(machine, precision, shape, size)));
            }
            return benchmarks;
        });
    }
}
