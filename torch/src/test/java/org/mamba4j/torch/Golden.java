package org.mamba4j.torch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;

/** Golden vectors from the test resources, and what it means to be close to them. */
public final class Golden {
    private Golden() {}

    /** Copies the resource {@code golden/NAME} into {@code folder}. */
    public static Path copy(String name, Path folder) {
        try (InputStream in = Objects.requireNonNull(
                Golden.class.getResourceAsStream("/golden/" + name), () -> "no test resource golden/" + name)) {
            Path file = folder.resolve(name.substring(name.lastIndexOf('/') + 1));
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The tensor {@code name}, or {@link Tensors#absent()} if the file has none. */
    public static Tensor read(SafetensorsFile file, String name) {
        return file.has(name) ? TensorFiles.read(file, name) : Tensors.absent();
    }

    /** Every element within {@code tolerance}; NaN is never close. */
    public static void assertClose(String what, Tensor actual, Tensor expected, double tolerance) {
        assertThat(Tensors.shape(actual)).as(what).isEqualTo(Tensors.shape(expected));
        float[] a = Tensors.toFloats(actual);
        float[] e = Tensors.toFloats(expected);
        for (int i = 0; i < a.length; i++) {
            if (!(Math.abs(a[i] - e[i]) <= tolerance)) {
                throw new AssertionError(
                        what + " [" + i + "] is " + a[i] + ", expected " + e[i] + " within " + tolerance);
            }
        }
    }

    /** Every element within {@code tolerance} of the greatest expected magnitude. */
    public static void assertRelativelyClose(String what, Tensor actual, Tensor expected, double tolerance) {
        double scale = 0;
        for (float value : Tensors.toFloats(expected)) {
            scale = Math.max(scale, Math.abs(value));
        }
        assertClose(what, actual, expected, tolerance * scale);
    }

    /** The {@code count} tokens that {@code model} thinks likeliest after {@code prompt}, one by one. */
    public static int[] greedy(LanguageModel model, int[] prompt, int count) {
        try (State state = model.newState()) {
            model.prefill(state, prompt);
            int[] tokens = new int[count];
            for (int i = 0; i < count; i++) {
                tokens[i] = argmax(model.logits(state));
                model.step(state, tokens[i]);
            }
            return tokens;
        }
    }

    /** The place of the greatest, the first of equal ones. */
    public static int argmax(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            if (logits[i] > logits[best]) {
                best = i;
            }
        }
        return best;
    }
}
