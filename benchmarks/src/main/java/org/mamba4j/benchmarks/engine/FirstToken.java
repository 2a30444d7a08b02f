package org.mamba4j.benchmarks.engine;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.mamba4j.benchmarks.llamacpp.ComparisonModel;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.WeightFormat;

/**
 * The time from the start of the JVM to the choice of the first token after a prompt of eight, and the processor time that
 * it takes, which other programs on the machine change less. Run it more than once: {@code FirstToken [F32|BF16|F16|Q8|Q4]};
 * the first run makes the model.
 */
public final class FirstToken {
    private static final int[] PROMPT = {11, 222, 3333, 44_444, 5, 66, 777, 8888};

    private FirstToken() {}

    /** @param args the format of the weights */
    public static void main(String[] args) throws IOException {
        String format = args.length == 0 ? "F32" : args[0];
        Path file = Path.of("target", "llamacpp", "768x24-" + format + ".gguf");
        if (!Files.exists(file)) {
            Files.createDirectories(Path.of("target", "llamacpp"));
            ComparisonModel.file(Path.of("target", "llamacpp"), ComparisonModel.shape(), WeightFormat.valueOf(format));
            System.out.println("made " + file + "; run this again");
            return;
        }
        long main = System.currentTimeMillis();
        try (LanguageModel model = LanguageModel.open(file)) {
            long opened = System.currentTimeMillis();
            State state = model.newState();
            model.prefill(state, PROMPT);
            float[] logits = model.logits(state);
            int best = 0;
            for (int i = 0; i < logits.length; i++) {
                best = logits[i] > logits[best] ? i : best;
            }
            long chosen = System.currentTimeMillis();
            Duration processor =
                    ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO);
            // Asked at the end, since asking takes time.
            long start = ManagementFactory.getRuntimeMXBean().getStartTime();
            System.out.printf(
                    "%s: first token (%d) after %d ms: until main %d, open %d, prompt and logits %d; processor time %d ms%n",
                    format, best, chosen - start, main - start, opened - main, chosen - opened, processor.toMillis());
            state.close();
        }
    }
}
