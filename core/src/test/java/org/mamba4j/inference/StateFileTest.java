package org.mamba4j.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.Shape;

class StateFileTest {
    private static final MambaConfig CONFIG =
            MambaConfig.builder().vocabSize(11).dModel(6).nLayer(2).dState(3).build();
    private static final String MODEL = "0123456789abcdef";

    @TempDir
    Path folder;

    private Path file() {
        return folder.resolve("state.safetensors");
    }

    private static StateSnapshot random() {
        Random random = new Random(1);
        StateSnapshot state = StateSnapshot.zeros(CONFIG, 123_456_789_012L);
        for (float[] values : state.tensors().values()) {
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) random.nextGaussian();
            }
        }
        return state;
    }

    @Test
    void whatIsWrittenIsReadToTheLastBit() {
        StateSnapshot state = random();
        StateFile.write(file(), CONFIG, MODEL, state);
        StateSnapshot read = StateFile.read(file(), CONFIG, MODEL);
        assertThat(read.tokensSeen()).isEqualTo(123_456_789_012L);
        assertThat(read.tensors().keySet())
                .containsExactly("layers.0.conv", "layers.0.ssm", "layers.1.conv", "layers.1.ssm", "last_hidden");
        read.tensors().forEach((name, values) -> assertThat(values).containsExactly(state.tensor(name)));
        try (SafetensorsFile open = SafetensorsFile.open(file())) {
            assertThat(open.info("layers.1.conv").shape()).isEqualTo(Shape.of(12, 3));
            assertThat(open.info("layers.1.ssm").shape()).isEqualTo(Shape.of(12, 3));
            assertThat(open.info("last_hidden").shape()).isEqualTo(Shape.of(6));
        }
    }

    @Test
    void aConvolutionOfOneTapHasNoBuffer() {
        MambaConfig config = CONFIG.toBuilder().dConv(1).build();
        StateFile.write(file(), config, MODEL, StateSnapshot.zeros(config, 0));
        assertThat(StateFile.read(file(), config, MODEL).tensor("layers.0.conv"))
                .isEmpty();
    }

    @Test
    void aStateOfAnotherModelIsRefused() {
        StateFile.write(file(), CONFIG, MODEL, random());
        assertRefused(CONFIG, "fedcba9876543210", "is a state of another model (\"0123456789abcdef\", this one is");
        // The same fingerprint with other shapes happens to damaged files only.
        assertRefused(
                CONFIG.toBuilder().dState(4).build(),
                MODEL,
                "tensor \"layers.0.ssm\" has shape (12, 3), but must have (12, 4)");
        assertRefused(CONFIG.toBuilder().nLayer(1).build(), MODEL, "is not part of this model's state");
        assertRefused(CONFIG.toBuilder().nLayer(3).build(), MODEL, "has no tensor \"layers.2.conv\"");
    }

    @ParameterizedTest
    @CsvSource({
        "format, pt, is not a saved state",
        "format, -, is not a saved state",
        "version, 3, 'is a state of version 3, newer than this program'",
        "version, -, the metadata lack \"version\"",
        "version, -1, the metadata's \"version\" is \"-1\"",
        "version, x, the metadata's \"version\" is \"x\"",
        "model, -, the metadata lack \"model\"",
        "model_type, llama, is a state of a model of type \"llama\"",
        "tokens_seen, -, the metadata lack \"tokens_seen\"",
        "tokens_seen, -5, the metadata's \"tokens_seen\" is \"-5\"",
        "tokens_seen, 9999999999999999999, the metadata's \"tokens_seen\" is",
        "tokens_seen, 5, 'is damaged: its numbers have the checksum '",
        "checksum, -, the metadata lack \"checksum\"",
        "checksum, 00000000, 'not \"00000000\" as when they were written'"
    })
    void metadataThatDoNotFitAreRefused(String key, String value, String message) {
        rewrite(key, value, tensors -> {});
        assertRefused(CONFIG, MODEL, message);
    }

    @Test
    void tensorsThatDoNotFitAreRefused() {
        rewrite("", "", tensors -> tensors.removeFirst());
        assertRefused(CONFIG, MODEL, "has no tensor");
        rewrite("", "", tensors -> tensors.add(SafetensorsWriter.Tensor.ofFloats("x", Shape.of(1), new float[1])));
        assertRefused(CONFIG, MODEL, "tensor \"x\" is not part of this model's state");
        rewrite("", "", tensors -> {
            tensors.removeIf(t -> t.name().equals("last_hidden"));
            tensors.add(new SafetensorsWriter.Tensor(
                    "last_hidden", DType.F16, Shape.of(6), () -> MemorySegment.ofArray(new byte[12])));
        });
        assertRefused(CONFIG, MODEL, "tensor \"last_hidden\" is F16, but a state is F32");
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            float[] values = new float[6];
            values[4] = bad;
            rewrite("", "", tensors -> {
                tensors.removeIf(t -> t.name().equals("last_hidden"));
                tensors.add(SafetensorsWriter.Tensor.ofFloats("last_hidden", Shape.of(6), values));
            });
            assertRefused(CONFIG, MODEL, "the state's tensor \"last_hidden\" holds " + bad + " at element 4");
        }
    }

    @Test
    void everyTruncationIsRefused() throws IOException {
        StateFile.write(file(), CONFIG, MODEL, random());
        byte[] whole = Files.readAllBytes(file());
        for (int length = 0; length < whole.length; length++) {
            Files.write(file(), Arrays.copyOf(whole, length));
            assertRefused(CONFIG, MODEL, "");
        }
        Files.delete(file());
        assertRefused(CONFIG, MODEL, "does not exist");
    }

    @Test
    void noDamagedByteIsOverlooked() throws IOException {
        StateSnapshot state = random();
        StateFile.write(file(), CONFIG, MODEL, state);
        byte[] whole = Files.readAllBytes(file());
        int refused = 0;
        for (int at = 0; at < whole.length; at++) {
            byte[] damaged = whole.clone();
            damaged[at] ^= (byte) (1 << at % 8);
            Files.write(file(), damaged);
            try {
                // As where a version has become an older one, which changes nothing.
                StateSnapshot read = StateFile.read(file(), CONFIG, MODEL);
                assertThat(read.tokensSeen()).as("byte %d", at).isEqualTo(state.tokensSeen());
                read.tensors()
                        .forEach((name, values) -> assertThat(values).as(name).isEqualTo(state.tensor(name)));
            } catch (UserError e) {
                assertThat(e.getMessage()).startsWith(file().toString()).doesNotContain("\n");
                refused++;
            }
        }
        assertThat(refused).isGreaterThan(whole.length - 10);
    }

    @Test
    void aStateOfTheFirstVersionNeedsNoChecksum() {
        rewrite(Map.of("version", "1", "checksum", "-"), tensors -> {});
        assertThat(StateFile.read(file(), CONFIG, MODEL).tokensSeen()).isPositive();
    }

    @Test
    void aStateThatDivergedIsNotWritten() throws IOException {
        StateFile.write(file(), CONFIG, MODEL, random());
        byte[] before = Files.readAllBytes(file());
        StateSnapshot bad = random();
        bad.tensor("layers.1.ssm")[2] = Float.NaN;
        assertThatThrownBy(() -> StateFile.write(file(), CONFIG, MODEL, bad))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("\"layers.1.ssm\" holds NaN at element 2");
        assertThat(file()).hasBinaryContent(before);
        var fewer = new LinkedHashMap<>(random().tensors());
        fewer.remove("last_hidden");
        assertThatThrownBy(() -> StateFile.write(file(), CONFIG, MODEL, new StateSnapshot(1, fewer)))
                .isInstanceOf(IllegalArgumentException.class);
        fewer.put("last_hidden", new float[5]);
        assertThatThrownBy(() -> StateFile.write(file(), CONFIG, MODEL, new StateSnapshot(1, fewer)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("must have shape (6), but has 5 elements");
    }

    private void assertRefused(MambaConfig config, String model, String message) {
        assertThatThrownBy(() -> StateFile.read(file(), config, model))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith(file().toString())
                .hasMessageContaining(message)
                .message()
                .doesNotContain("\n");
    }

    /** Changes tensors before they are written. */
    private interface Change {
        void apply(List<SafetensorsWriter.Tensor> tensors);
    }

    /** A good file, but for one text of the metadata ("-" removes it) and some tensors. */
    private void rewrite(String key, String value, Change change) {
        rewrite(key.isEmpty() ? Map.of() : Map.of(key, value), change);
    }

    private void rewrite(Map<String, String> changes, Change change) {
        StateFile.write(file(), CONFIG, MODEL, random());
        Map<String, String> metadata;
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        try (SafetensorsFile open = SafetensorsFile.open(file())) {
            metadata = new HashMap<>(open.metadata());
            for (String name : open.tensors().keySet()) {
                tensors.add(
                        SafetensorsWriter.Tensor.ofFloats(name, open.info(name).shape(), open.floats(name)));
            }
        }
        changes.forEach((key, value) -> {
            if (value.equals("-")) {
                metadata.remove(key);
            } else {
                metadata.put(key, value);
            }
        });
        change.apply(tensors);
        SafetensorsWriter.write(file(), metadata, tensors);
    }
}
