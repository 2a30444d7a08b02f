package org.mamba4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.SafetensorsWriter.Tensor;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

class CheckpointTest {
    static final MambaConfig TINY =
            MambaConfig.builder().vocabSize(11).dModel(6).nLayer(2).dState(3).build();

    @TempDir
    Path folder;

    /** Random values for every parameter of {@code config}. */
    static List<Tensor> random(ModelConfig config, long seed) {
        Random random = new Random(seed);
        List<Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.parameters()) {
            float[] values = new float[(int) spec.shape().elements()];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) random.nextGaussian();
            }
            tensors.add(Tensor.ofFloats(spec.name(), spec.shape(), values));
        }
        return tensors;
    }

    /** A folder with that config.json and the tensors as {@code change} leaves them. */
    private Path write(MambaConfig config, UnaryOperator<Tensor> change, Tensor... more) throws IOException {
        List<Tensor> tensors = new ArrayList<>(random(config, 1).stream()
                .map(change)
                .filter(t -> !t.name().isEmpty())
                .toList());
        tensors.addAll(List.of(more));
        Files.writeString(folder.resolve("config.json"), JsonText.pretty(config.toJson()));
        SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of(), tensors);
        return folder;
    }

    private static UnaryOperator<Tensor> rename(String from, String to) {
        return t -> t.name().equals(from) ? new Tensor(to, t.dtype(), t.shape(), t.data()) : t;
    }

    private static void assertRefused(Path folder, String message) {
        assertThatThrownBy(() -> Checkpoint.open(folder).close())
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith(folder.toString())
                .hasMessageContaining(message)
                .message()
                .doesNotContain("\n");
    }

    @Test
    void theGoldenModelOpensAndIsWrittenAgainByteForByte() throws IOException {
        Path golden = SharedData.require("golden/hf-mamba-tiny");
        Path copy = folder.resolve("copy");
        try (Checkpoint checkpoint = Checkpoint.open(golden)) {
            List<Tensor> tensors = new ArrayList<>();
            for (TensorSpec spec : checkpoint.config().parameters()) {
                TensorInfo info = checkpoint.info(spec.name());
                assertThat(info.shape()).isEqualTo(spec.shape());
                assertThat(checkpoint.floats(spec.name()))
                        .hasSize((int) spec.shape().elements());
                tensors.add(new Tensor(spec.name(), info.dtype(), info.shape(), () -> checkpoint.data(spec.name())));
            }
            Checkpoint.write(copy, checkpoint.config(), tensors);
            assertThat(Files.mismatch(golden.resolve("model.safetensors"), copy.resolve("model.safetensors")))
                    .isEqualTo(-1);
            try (Checkpoint again = Checkpoint.open(copy)) {
                assertThat(again.config()).isEqualTo(checkpoint.config());
                assertThat(again.fingerprint())
                        .isEqualTo(checkpoint.fingerprint())
                        .hasSize(32);
            }
        }
        assertThat(folder.toFile().list()).containsExactly("copy");
        assertThat(copy.toFile().list()).containsExactlyInAnyOrder("config.json", "model.safetensors");
    }

    @Test
    void everyOptionalParameterIsWrittenAndReadBack() {
        MambaConfig config = TINY.toBuilder()
                .useBias(true)
                .useConvBias(false)
                .tieEmbeddings(false)
                .build();
        Checkpoint.write(folder.resolve("new"), config, random(config, 2));
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("new"))) {
            assertThat(checkpoint.config()).isEqualTo(config);
            for (Tensor tensor : random(config, 2)) {
                assertThat(checkpoint.data(tensor.name()).mismatch(tensor.data().get()))
                        .isEqualTo(-1);
            }
        }
        // Over what is there.
        Checkpoint.write(folder.resolve("new"), TINY, random(TINY, 3));
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("new"))) {
            assertThat(checkpoint.config()).isEqualTo(TINY);
        }
    }

    @Test
    void aCheckpointThatCannotBeFinishedLeavesTheOldOne() throws IOException {
        Path old = folder.resolve("old");
        Checkpoint.write(old, TINY, random(TINY, 1));
        byte[] weights = Files.readAllBytes(old.resolve("model.safetensors"));
        List<Tensor> failing = random(TINY, 2);
        Tensor last = failing.removeLast();
        failing.add(new Tensor(last.name(), last.dtype(), last.shape(), () -> {
            throw new IllegalStateException("out of memory");
        }));
        for (Path target : List.of(old, folder.resolve("new"))) {
            assertThatThrownBy(() -> Checkpoint.write(target, TINY, failing)).hasMessage("out of memory");
        }
        assertThat(old.resolve("model.safetensors")).hasBinaryContent(weights);
        assertThat(old.toFile().list()).containsExactlyInAnyOrder("config.json", "model.safetensors");
        assertThat(folder.toFile().list()).containsExactly("old");
        Checkpoint.open(old).close();
    }

    @Test
    void onlyTheParametersOfTheConfigAreWritten() {
        List<Tensor> tensors = random(TINY, 1);
        Path target = folder.resolve("new");
        assertThatThrownBy(() -> Checkpoint.write(target, TINY, tensors.subList(1, tensors.size())))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("parameter backbone.embeddings.weight must be (11, 6), but is missing");
        tensors.add(Tensor.ofFloats("x", Shape.of(1), new float[1]));
        assertThatThrownBy(() -> Checkpoint.write(target, TINY, tensors)).hasMessageContaining("[x]");
        assertThatThrownBy(() -> Checkpoint.write(folder.resolve("no/new"), TINY, random(TINY, 1)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("new cannot be written: the folder " + folder.resolve("no") + " does not exist");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void stateSpacesNamesAreTheSameModel() throws IOException {
        List<Tensor> tensors = random(TINY, 1);
        Path other = Files.createDirectory(folder.resolve("hf"));
        Checkpoint.write(other, TINY, tensors);
        write(TINY, rename("backbone.embeddings.weight", "backbone.embedding.weight"));
        Files.writeString(
                folder.resolve("config.json"),
                "{\"d_model\":6,\"n_layer\":2,\"vocab_size\":11,\"pad_vocab_size_multiple\":1,"
                        + "\"ssm_cfg\":{\"d_state\":3}}");
        try (Checkpoint stateSpaces = Checkpoint.open(folder);
                Checkpoint huggingFace = Checkpoint.open(other)) {
            assertThat(stateSpaces.fingerprint()).isEqualTo(huggingFace.fingerprint());
            assertThat(stateSpaces.floats("backbone.embeddings.weight"))
                    .isEqualTo(huggingFace.floats("backbone.embeddings.weight"));
        }
    }

    @Test
    void aTiedHeadMayBeStoredUnderEitherNameOrTwice() throws IOException {
        Tensor embedding = random(TINY, 1).getFirst();
        Tensor head = new Tensor("lm_head.weight", embedding.dtype(), embedding.shape(), embedding.data());
        Checkpoint.open(write(TINY, t -> t, head)).close();
        Checkpoint.open(write(TINY, rename(embedding.name(), "lm_head.weight"))).close();
        assertRefused(
                write(TINY, t -> t, Tensor.ofFloats("lm_head.weight", embedding.shape(), new float[66])),
                "tensors \"backbone.embeddings.weight\" and \"lm_head.weight\" differ");
        MambaConfig untied = TINY.toBuilder().tieEmbeddings(false).build();
        assertRefused(
                write(untied, rename("lm_head.weight", "")),
                "tensor \"lm_head.weight\" (11, 6), which config.json implies, is missing; if the head is");
    }

    @Test
    void theEmbeddingMayBePadded() throws IOException {
        MambaConfig padded = TINY.toBuilder().vocabSize(16).tieEmbeddings(false).build();
        write(padded, t -> t);
        MambaConfig said = padded.toBuilder().vocabSize(11).build();
        Files.writeString(folder.resolve("config.json"), JsonText.compact(said.toJson()));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.config()).isEqualTo(padded);
        }
        for (int wrong : new int[] {17, 10, 1}) {
            write(padded.toBuilder().vocabSize(wrong).build(), t -> t);
            Files.writeString(folder.resolve("config.json"), JsonText.compact(said.toJson()));
            assertRefused(
                    folder,
                    "tensor \"backbone.embeddings.weight\" has shape (" + wrong + ", 6), but must have (11, 6)");
        }
    }

    @Test
    void whatDoesNotFitTheConfigIsNamed() throws IOException {
        String name = "backbone.layers.1.mixer.A_log";
        assertRefused(write(TINY, rename(name, "")), "tensor \"" + name + "\" (12, 3), which config.json implies");
        assertRefused(write(TINY, rename(name, "x\ny")), "tensor \"" + name + "\" (12, 3)");
        assertRefused(
                write(TINY, t -> t, Tensor.ofFloats("x\ny", Shape.of(2), new float[2])),
                "tensor \"x\\ny\" (2) is not part of the model");
        assertRefused(
                write(TINY, t -> t.name().equals(name) ? Tensor.ofFloats(name, Shape.of(3, 12), new float[36]) : t),
                "model.safetensors: tensor \"" + name + "\" has shape (3, 12), but must have (12, 3)");
        assertRefused(
                write(TINY, t -> t.name().equals(name) ? Tensor.ofLongs(name, t.shape(), new long[36]) : t),
                "tensor \"" + name + "\" is I64, but a parameter must be");
        write(TINY, t -> t);
        Files.writeString(
                folder.resolve("config.json"),
                JsonText.compact(TINY.toBuilder().nLayer(4096).build().toJson()));
        assertRefused(folder, "config.json says 4096 layers, but the files hold only");
    }

    @Test
    void narrowTypesReadAsFloats() throws IOException {
        write(TINY, t -> {
            float[] values = t.data().get().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT);
            var data = java.lang.foreign.MemorySegment.ofArray(new short[values.length]);
            DType.BF16.fromFloats(values, 0, data, 0, values.length);
            return new Tensor(t.name(), DType.BF16, t.shape(), () -> data);
        });
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            float[] exact = random(TINY, 1).getFirst().data().get().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT);
            float[] read = checkpoint.floats("backbone.embeddings.weight");
            for (int i = 0; i < exact.length; i++) {
                assertThat(read[i]).isCloseTo(exact[i], org.assertj.core.data.Percentage.withPercentage(0.4));
            }
        }
    }

    @Test
    void foldersWithoutWeightsSayWhatIsThere() throws IOException {
        assertThatThrownBy(() -> Checkpoint.open(folder.resolve("none")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("is not a folder with config.json and model.safetensors");
        assertRefused(folder, "config.json does not exist");
        Path run = Files.createDirectory(folder.resolve("run"));
        Files.createDirectory(run.resolve("checkpoints"));
        assertRefused(run, "is the folder of a training run: open one of the checkpoints in");
        Files.writeString(folder.resolve("config.json"), JsonText.compact(TINY.toJson()));
        assertRefused(folder, "has neither model.safetensors nor model.safetensors.index.json");
        Files.write(folder.resolve("pytorch_model.bin"), new byte[3]);
        assertRefused(folder, "has its weights in pytorch_model.bin only");
    }

    @Test
    void weightsMayLieInSeveralFiles() throws IOException {
        List<Tensor> tensors = random(TINY, 1);
        Files.writeString(folder.resolve("config.json"), JsonText.compact(TINY.toJson()));
        SafetensorsWriter.write(folder.resolve("a.safetensors"), Map.of(), tensors.subList(0, 5));
        SafetensorsWriter.write(folder.resolve("b.safetensors"), Map.of(), tensors.subList(5, tensors.size()));
        StringBuilder map = new StringBuilder();
        for (int i = 0; i < tensors.size(); i++) {
            map.append(i == 0 ? "" : ",")
                    .append('"')
                    .append(tensors.get(i).name())
                    .append(i < 5 ? "\":\"a.safetensors\"" : "\":\"b.safetensors\"");
        }
        Path index = folder.resolve("model.safetensors.index.json");
        String good = "{\"metadata\":{\"total_size\":1},\"weight_map\":{" + map + "}}";
        Files.writeString(index, good);
        Path single = Files.createDirectory(folder.resolve("single"));
        Checkpoint.write(single, TINY, tensors);
        try (Checkpoint checkpoint = Checkpoint.open(folder);
                Checkpoint whole = Checkpoint.open(single)) {
            assertThat(checkpoint.files()).hasSize(2);
            assertThat(checkpoint.fingerprint()).isEqualTo(whole.fingerprint());
        }
        String first = tensors.getFirst().name() + "\":\"";
        Files.writeString(index, good.replace(first + "a", first + "b"));
        assertRefused(folder, "a.safetensors: tensor \"" + tensors.getFirst().name() + "\" is not listed so in");
        Files.writeString(index, good.replace(first + "a", first + "c"));
        assertRefused(folder, "c.safetensors does not exist");
        Files.writeString(index, good.replace(first + "a", first + "../a"));
        assertRefused(folder, "must name a .safetensors file of the same folder");
        Files.writeString(index, good.replace("{\"backbone", "{\"more\":\"a.safetensors\",\"backbone"));
        assertRefused(folder, "tensor \"more\" is not in a.safetensors");
        Files.writeString(index, "{\"weight_map\":{}}");
        assertRefused(folder, "\"weight_map\" is empty");
    }

    @Test
    void oneWeightChangedIsAnotherFingerprint() {
        Checkpoint.write(folder.resolve("a"), TINY, random(TINY, 1));
        List<Tensor> changed = random(TINY, 1);
        changed.getLast().data().get().set(java.lang.foreign.ValueLayout.JAVA_FLOAT, 0, 42);
        Checkpoint.write(folder.resolve("b"), TINY, changed);
        try (Checkpoint a = Checkpoint.open(folder.resolve("a"));
                Checkpoint b = Checkpoint.open(folder.resolve("b"))) {
            assertThat(a.fingerprint()).isNotEqualTo(b.fingerprint());
        }
    }
}
