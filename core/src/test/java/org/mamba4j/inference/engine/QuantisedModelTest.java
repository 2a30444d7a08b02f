package org.mamba4j.inference.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.Quantiser;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;

/** A quantised checkpoint is another model: exactly that of the numbers which it stores. */
class QuantisedModelTest {
    private static final int VOCABULARY = 97;
    private static final MambaConfig CONFIG =
            MambaConfig.builder().vocabSize(VOCABULARY).dModel(64).nLayer(2).build();

    @TempDir
    Path folder;

    private Path quantise(Path model, WeightFormat format) {
        Path to = folder.resolve(format + ".quantised");
        try (Checkpoint from = Checkpoint.open(model)) {
            Quantiser.write(from, to, format);
        }
        return to;
    }

    /** The same numbers as float32. */
    private Path widened(Path quantised) {
        Path to = folder.resolve("widened");
        try (Checkpoint from = Checkpoint.openQuantised(quantised)) {
            List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
            for (TensorSpec spec : from.config().parameters()) {
                float[] values = new float[(int) spec.shape().elements()];
                for (int i = 0; i < values.length; i++) {
                    values[i] = from.format(spec.name()).get(from.data(spec.name()), i);
                }
                tensors.add(SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
            }
            Checkpoint.write(to, from.config(), tensors);
        }
        return to;
    }

    private static float[] logits(Path model, int[] tokens) {
        try (LanguageModel opened = LanguageModel.open(model);
                State whole = opened.newState();
                State steps = opened.newState()) {
            opened.prefill(whole, tokens);
            for (int token : tokens) {
                opened.step(steps, token);
            }
            float[] logits = opened.logits(whole);
            assertThat(opened.logits(steps)).usingComparatorWithPrecision(1e-4f).containsExactly(logits);
            return logits;
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = WeightFormat.class,
            names = {"Q8", "Q4"})
    void computesTheModelOfTheStoredNumbers(WeightFormat format) throws IOException {
        MemMambaConfig memory = new MemMambaConfig(
                CONFIG,
                MemoryConfig.builder().chunkSize(8).poolSize(5).summarySize(32).build());
        int[] tokens = new SplittableRandom(1).ints(50, 0, VOCABULARY).toArray();
        int number = 0;
        for (ModelConfig config : List.of(CONFIG, memory)) {
            folder = Files.createDirectory(folder.resolve("case" + number++));
            Path model = RandomModels.write(folder.resolve("model"), config, DType.F32, 1);
            Files.writeString(model.resolve("tokenizer_config.json"), "{}");
            Path quantised = quantise(model, format);
            float[] expected = logits(widened(quantised), tokens);
            float[] actual = logits(quantised, tokens);
            assertThat(actual).usingComparatorWithPrecision(1e-4f).containsExactly(expected);
            assertThat(distance(actual, logits(model, tokens))).isBetween(1e-4, format == WeightFormat.Q8 ? 0.05 : 0.6);
            assertThat(quantised.resolve("tokenizer_config.json")).hasContent("{}");
            assertThat(Files.size(quantised.resolve("model.safetensors")))
                    .isLessThan(Files.size(model.resolve("model.safetensors")) / 2);
        }
    }

    /** Relative to the size of the numbers. */
    private static double distance(float[] a, float[] b) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < a.length; i++) {
            difference += (a[i] - b[i]) * (double) (a[i] - b[i]);
            size += b[i] * (double) b[i];
        }
        return Math.sqrt(difference / size);
    }

    @Test
    void whatCannotBeUsedIsRefused() {
        Path model = RandomModels.write(folder.resolve("model"), CONFIG, DType.BF16, 2);
        Path quantised = quantise(model, WeightFormat.Q8);
        assertThatThrownBy(() -> Checkpoint.open(quantised))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("is quantised, which only the engine java reads");
        try (Checkpoint from = Checkpoint.open(model)) {
            assertThatThrownBy(() -> Quantiser.write(from, quantised, WeightFormat.Q4))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("exists already");
        }
        rewrite(quantised, "Q9");
        assertRefused(quantised, "in the format \"Q9\", which this program does not know");
        rewrite(quantised, "Q4");
        assertRefused(quantised, "but must have");
    }

    private static void assertRefused(Path model, String message) {
        assertThatThrownBy(() -> LanguageModel.open(model))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("backbone.layers.0.mixer.in_proj.weight")
                .hasMessageContaining(message);
    }

    /** Says another format of one tensor. */
    private static void rewrite(Path model, String format) {
        Path file = model.resolve("model.safetensors");
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        Map<String, String> metadata;
        try (SafetensorsFile old = SafetensorsFile.open(file)) {
            metadata = new java.util.TreeMap<>(old.metadata());
            metadata.put("quantised.backbone.layers.0.mixer.in_proj.weight", format);
            old.tensors().forEach((name, info) -> {
                byte[] bytes = old.data(name).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
                tensors.add(new SafetensorsWriter.Tensor(
                        name, info.dtype(), info.shape(), () -> java.lang.foreign.MemorySegment.ofArray(bytes)));
            });
        }
        SafetensorsWriter.write(file, metadata, tensors);
    }
}
