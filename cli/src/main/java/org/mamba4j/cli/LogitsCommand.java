package org.mamba4j.cli;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.checkpoint.TensorInfo;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.model.Shape;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(name = "logits", description = "Write a model's logits for a batch of tokens.")
final class LogitsCommand implements Runnable {
    private static final String INPUT_IDS = "input_ids";

    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--input",
            required = true,
            paramLabel = "FILE",
            description = "Safetensors file with input_ids (B, L), int64.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path input;

    @Option(
            names = "--output",
            required = true,
            paramLabel = "FILE",
            description = "Safetensors file to write: logits (B, L, V), float32.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path output;

    @Override
    public void run() {
        try (SafetensorsFile file = SafetensorsFile.open(input);
                LanguageModel opened = model.open()) {
            TensorInfo info = file.info(INPUT_IDS);
            if (info.dtype() != DType.I64 || info.shape().rank() != 2) {
                throw new UserError(input + ": tensor \"" + INPUT_IDS + "\" is " + info.dtype() + " " + info.shape()
                        + ", but must be I64 (B, L)");
            }
            long[] ids = file.longs(INPUT_IDS);
            int rows = Math.toIntExact(info.shape().size(0));
            int length = Math.toIntExact(info.shape().size(1));
            check(ids, length, opened.vocabSize());
            write(opened, ids, rows, length);
        }
    }

    private void check(long[] ids, int length, int vocabSize) {
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabSize) {
                throw new UserError(input + ": token " + ids[i] + " at [" + i / length + ", " + i % length
                        + "] is not in the model's vocabulary, [0, " + vocabSize + ")");
            }
        }
    }

    private void write(LanguageModel opened, long[] ids, int rows, int length) {
        int width = opened.vocabSize();
        Shape shape = Shape.of(rows, length, width);
        long start = System.nanoTime();
        try (Arena arena = Arena.ofConfined();
                StatusLine status = new StatusLine("logits")) {
            MemorySegment logits = arena.allocate(Math.multiplyExact(shape.elements(), (long) Float.BYTES), Long.BYTES);
            for (int row = 0; row < rows; row++) {
                int[] tokens = new int[length];
                for (int i = 0; i < length; i++) {
                    tokens[i] = (int) ids[row * length + i];
                }
                long first = (long) row * length;
                try (State state = opened.newState()) {
                    opened.score(state, tokens, 0, (position, values) -> {
                        long at = (first + position) * width * Float.BYTES;
                        MemorySegment.copy(values, 0, logits, ValueLayout.JAVA_FLOAT, at, width);
                        status.show((first + position) / (double) ids.length);
                    });
                }
            }
            SafetensorsWriter.write(
                    output, Map.of(), List.of(new SafetensorsWriter.Tensor("logits", DType.F32, shape, () -> logits)));
        }
        System.err.printf(Locale.ROOT, "%s: logits %s in %.2f s%n", output, shape, (System.nanoTime() - start) * 1e-9);
    }
}
