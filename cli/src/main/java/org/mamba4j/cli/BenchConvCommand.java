package org.mamba4j.cli;

import org.jspecify.annotations.Nullable;
import org.mamba4j.torch.bench.ConvBenchmark;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.bench.OperationBenchmark;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "conv",
        description = {
            "Measure the causal convolution with silu, forward and backward, without the host.",
            "",
            "Results and gradients are compared with a reference first; a wrong answer is not timed, and the exit code is 1."
        },
        footer = {"", "Example:  ./mamba4j bench conv --batch 1 --width 1536 --length 2048"})
final class BenchConvCommand implements Runnable {
    @Mixin
    private BenchOperationOptions operation = new BenchOperationOptions();

    @Option(names = "--taps", paramLabel = "K", description = "Steps of the kernel (default: 4).")
    private @Nullable Integer taps;

    @Override
    public void run() {
        Machine machine = operation.machine();
        operation.run(
                "conv",
                machine,
                precision -> operation.shapes(ConvBenchmark.shapes(machine), taps).stream()
                        .map(shape -> (OperationBenchmark) new ConvBenchmark(machine, precision, shape))
                        .toList());
    }
}
