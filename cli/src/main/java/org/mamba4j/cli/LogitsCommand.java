package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
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

@Command(
        name = "logits",
        description = "Write a model's logits for a batch of tokens.",
        footer = {"", "Example:", "  ./mamba4j logits --model DIR --input IN.safetensors --output OUT.safetensors"})
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
            int rows = size(info, 0);
            int length = size(info, 1);
            check(ids, length, opened.vocabSize());
            write(opened, ids, rows, length);
        }
    }

    private int size(TensorInfo info, int axis) {
        long size = info.shape().size(axis);
        if (size > Integer.MAX_VALUE) {
            throw new UserError(input + ": tensor \"" + INPUT_IDS + "\" is " + info.shape()
                    + ", but no size may exceed " + Integer.MAX_VALUE);
        }
        return (int) size;
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
        Shape shape = Shape.of(rows, length, opened.vocabSize());
        long start = System.nanoTime();
        try (StatusLine status = new StatusLine("logits")) {
            SafetensorsWriter.writeFloats(output, "logits", shape, sink -> {
                for (int row = 0; row < rows && length > 0; row++) {
                    int first = row * length; // within ids, which is an array
                    int[] tokens = new int[length];
                    Arrays.setAll(tokens, i -> (int) ids[first + i]);
                    try (State state = opened.newState()) {
                        opened.score(state, tokens, 0, (position, values) -> {
                            sink.accept(values);
                            status.show((first + position) / (double) ids.length);
                        });
                    }
                }
            });
        }
        System.err.printf(Locale.ROOT, "%s: logits %s in %.2f s%n", output, shape, (System.nanoTime() - start) * 1e-9);
    }
}
