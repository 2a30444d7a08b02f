package org.mamba4j.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.model.Shape;

class SafetensorsTest {
    @TempDir
    Path folder;

    /** A file with that header and {@code dataBytes} zeros. */
    private Path file(String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(UTF_8);
        ByteBuffer file = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(json.length).put(json);
        return Files.write(folder.resolve("t.safetensors"), file.array());
    }

    private static String entry(String name, String dtype, String shape, String offsets) {
        return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets
                + "}";
    }

    @Test
    void streamedValuesGiveTheSameBytes() throws IOException {
        float[] values = {1, -2, Float.NaN, 4, 5, Float.MIN_VALUE};
        Path whole = folder.resolve("whole.safetensors");
        Path streamed = folder.resolve("streamed.safetensors");
        SafetensorsWriter.write(
                whole, Map.of(), List.of(SafetensorsWriter.Tensor.ofFloats("a", Shape.of(2, 3), values)));
        SafetensorsWriter.writeFloats(streamed, "a", Shape.of(2, 3), sink -> {
            sink.accept(Arrays.copyOf(values, 4));
            sink.accept(new float[0]);
            sink.accept(Arrays.copyOfRange(values, 4, 6));
        });
        assertThat(streamed).hasSameBinaryContentAs(whole);
        Path wrong = folder.resolve("wrong.safetensors");
        assertThatThrownBy(() -> SafetensorsWriter.writeFloats(wrong, "a", Shape.of(2, 4), sink -> sink.accept(values)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("8 values, but 6");
        assertThat(wrong).doesNotExist();
    }

    @Test
    void everyTypeIsWrittenAndReadBack() {
        float[] floats = {0f, -1.5f, 3.14159f, 65504f, 1e-7f, Float.NaN};
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (DType type : DType.values()) {
            MemorySegment data = MemorySegment.ofArray(new byte[6 * type.bytes()]);
            if (type.isFloating()) {
                type.fromFloats(floats, 0, data, 0, 6);
            } else {
                data.set(ValueLayout.JAVA_BYTE, 5L * type.bytes(), (byte) 1);
            }
            tensors.add(new SafetensorsWriter.Tensor("t." + type, type, Shape.of(2, 3), () -> data));
        }
        tensors.add(SafetensorsWriter.Tensor.ofFloats("scalar", Shape.of(), new float[] {7}));
        tensors.add(SafetensorsWriter.Tensor.ofFloats("empty", Shape.of(4, 0), new float[0]));
        tensors.add(SafetensorsWriter.Tensor.ofLongs("ids", Shape.of(2), new long[] {-1, Long.MAX_VALUE}));
        Path path = folder.resolve("all.safetensors");
        SafetensorsWriter.write(path, Map.of("b", "2", "a", "é\n"), tensors);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.metadata()).containsExactly(Map.entry("a", "é\n"), Map.entry("b", "2"));
            assertThat(file.floats("t.F32")).containsExactly(floats);
            assertThat(file.floats("t.F64")).containsExactly(floats);
            assertThat(file.floats("t.F16")).containsExactly(0f, -1.5f, 3.140625f, 65504f, 1.1920929e-7f, Float.NaN);
            assertThat(file.floats("t.BF16")).containsExactly(0f, -1.5f, 3.140625f, 65536f, 1.0011718e-7f, Float.NaN);
            for (DType integer : List.of(DType.BOOL, DType.U8, DType.I32, DType.I64)) {
                assertThat(file.longs("t." + integer)).containsExactly(0, 0, 0, 0, 0, 1);
                assertThat(file.floats("t." + integer)).containsExactly(0, 0, 0, 0, 0, 1);
            }
            assertThat(file.floats("scalar")).containsExactly(7);
            assertThat(file.floats("empty")).isEmpty();
            assertThat(file.longs("ids")).containsExactly(-1, Long.MAX_VALUE);
            assertThat(file.info("t.BOOL").shape()).isEqualTo(Shape.of(2, 3));
            // Widest first: aligned without a gap.
            assertThat(file.tensors().keySet())
                    .containsExactly(
                            "ids", "t.I64", "t.F64", "empty", "scalar", "t.F32", "t.I32", "t.BF16", "t.F16", "t.U8",
                            "t.BOOL");
            assertThat(file.data("ids").isReadOnly()).isTrue();
            assertThatThrownBy(() -> file.longs("t.F32"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("is F32");
            assertThatThrownBy(() -> file.info("none"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("\"none\"");
            assertThatThrownBy(() -> file.requireShape("ids", Shape.of(3)))
                    .hasMessageEndingWith("tensor \"ids\" has shape (2), but must have (3)");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"hf-mamba-tiny/model", "hf-mamba-tiny/expected", "selective-scan", "hf-llama-tiny/model"})
    void whatTheReferenceImplementationWroteIsWrittenAgainByteForByte(String name) throws IOException {
        Path golden = SharedData.require("golden/" + name + ".safetensors");
        Path copy = folder.resolve("copy.safetensors");
        try (SafetensorsFile file = SafetensorsFile.open(golden)) {
            List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
            for (TensorInfo info : file.tensors().reversed().values()) {
                tensors.add(new SafetensorsWriter.Tensor(
                        info.name(), info.dtype(), info.shape(), () -> file.data(info.name())));
            }
            SafetensorsWriter.write(copy, file.metadata(), tensors);
        }
        assertThat(Files.mismatch(golden, copy)).isEqualTo(-1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "F32|[2,3]|[0,20]|has F32 (2, 3), so 24 bytes, but data_offsets [0, 20] span 20",
                "F32|[2,3]|[24,0]|whose end is before its begin",
                "F32|[2,3]|[0]|has no data_offsets [begin, end]",
                "F32|[2,3]|[0,24,24]|has more than 2 numbers in data_offsets",
                "F32|[2,-3]|[0,24]|has -3 in shape: it must not be negative",
                "F32|[2,3.0]|[0,24]|expected an integer of 64 bits, found 3.0",
                "F32|[4611686018427387904,4]|[0,24]|has a shape of more elements than 64 bits can count",
                "F32|[4611686018427387904]|[0,24]|has a shape of more elements than 64 bits can count",
                "F32|[9223372036854775808]|[0,24]|expected an integer of 64 bits",
                "F32|[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,6]|[0,24]|has more than 16 numbers in shape",
                "F32|6|[0,24]|expected an array",
                "F99|[2,3]|[0,24]|has dtype \"F99\"; supported are BOOL, U8",
                "f32|[2,3]|[0,24]|has dtype \"f32\"",
                "F32|[2,4]|[0,32]|ends at byte 32 of the data, but there are 24",
                "F32|[2,2]|[0,16]|the tensors end at byte 16 of the data, but there are 24",
                "F32|[2,2]|[8,24]|bytes 0 to 8 of the data, before tensor \"t\", belong to no tensor",
                "F32|[6]|[9223372036854775783,9223372036854775807]|ends at byte 9223372036854775807"
            })
    void aTensorThatDoesNotFitIsRefused(String dtype, String shape, String offsets, String message) throws IOException {
        Path file = file("{" + entry("t", dtype, shape, offsets) + "}", 24);
        assertThatThrownBy(() -> SafetensorsFile.open(file).close())
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(message)
                .message()
                .doesNotContain("\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "[0,16]|[8,24]|tensor \"b\" begins at byte 8 of the data, inside tensor \"a\", which ends at 16",
                "[0,16]|[0,16]|begins at byte 0 of the data, inside tensor",
                "[0,16]|[20,36]|bytes 16 to 20 of the data, before tensor \"b\", belong to no tensor"
            })
    void tensorsCoverTheDataOnce(String first, String second, String message) throws IOException {
        Path file = file("{" + entry("a", "I64", "[2]", first) + "," + entry("b", "F32", "[4]", second) + "}", 36);
        assertThatThrownBy(() -> SafetensorsFile.open(file).close()).hasMessageContaining(message);
    }

    @Test
    void oneFieldTwiceMissingOrUnknownIsRefused() throws IOException {
        String good = entry("a", "F32", "[1]", "[0,4]");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{" + good + "," + good + "}", 4)))
                .hasMessageContaining("the key \"a\" stands twice");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4)))
                .hasMessageContaining("has no dtype");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4)))
                .hasMessageContaining("has no shape");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4)))
                .hasMessageContaining("has no data_offsets");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{\"a\":{\"x\":1}}", 4)))
                .hasMessageContaining("has the unknown field \"x\"");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{\"__metadata__\":{\"x\":1}}", 0)))
                .hasMessageContaining("expected a string");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{\"\":{}}", 0))).hasMessageContaining("has no name");
        assertThatThrownBy(() -> SafetensorsFile.open(file("{} x", 0))).hasMessageContaining("expected the end");
        try (SafetensorsFile empty = SafetensorsFile.open(file("{}    ", 0))) {
            assertThat(empty.tensors()).isEmpty();
            assertThat(empty.metadata()).isEmpty();
        }
    }

    @Test
    void lyingHeaderLengthsAreRefusedBeforeAnythingIsAllocated() throws IOException {
        for (long length : new long[] {0, 1, 3, 1000, Integer.MAX_VALUE, Long.MAX_VALUE, -1, Long.MIN_VALUE}) {
            ByteBuffer bytes = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
            Path file = Files.write(
                    folder.resolve("l"),
                    bytes.putLong(length).put("{}".getBytes(UTF_8)).array());
            assertThatThrownBy(() -> SafetensorsFile.open(file))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("the header's length is given as " + Long.toUnsignedString(length));
        }
        Path tiny = Files.write(folder.resolve("tiny"), new byte[7]);
        assertThatThrownBy(() -> SafetensorsFile.open(tiny)).hasMessageContaining("has 7 bytes");
        assertThatThrownBy(() -> SafetensorsFile.open(folder.resolve("none"))).hasMessageContaining("does not exist");
        assertThatThrownBy(() -> SafetensorsFile.open(folder)).isInstanceOf(UserError.class);
        // Sparse, so that it costs no disk.
        Path great = folder.resolve("great");
        try (FileChannel channel = FileChannel.open(great, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong((32 << 20) + 1)
                    .flip());
            channel.write(ByteBuffer.allocate(1), 200_000_000);
        }
        assertThatThrownBy(() -> SafetensorsFile.open(great)).hasMessageContaining("more than the 33554432");
    }

    @Test
    void filesGreaterThanAnArrayAreReadWhereTheyLie() throws IOException {
        long bytes = 3L << 30;
        String header = "{" + entry("a", "U8", "[" + (bytes - 8) + "]", "[0," + (bytes - 8) + "]") + ","
                + entry("z", "I64", "[1]", "[" + (bytes - 8) + "," + bytes + "]") + "}";
        Path file = file(header, 0);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) { // sparse
            ByteBuffer last = ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(42)
                    .flip();
            channel.write(last, 8 + header.length() + bytes - 8);
        }
        try (SafetensorsFile open = SafetensorsFile.open(file)) {
            assertThat(open.longs("z")).containsExactly(42);
            assertThat(open.data("a").byteSize()).isEqualTo(bytes - 8);
            assertThatThrownBy(() -> open.floats("a"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("Java array");
        }
    }

    @Test
    void theCallersMistakesInWritingAreRefused() {
        Path path = folder.resolve("w");
        var a = SafetensorsWriter.Tensor.ofFloats("a", Shape.of(1), new float[1]);
        assertThatThrownBy(() -> SafetensorsWriter.write(path, Map.of(), List.of(a, a)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("\"a\" is taken");
        var wrong = SafetensorsWriter.Tensor.ofFloats("b", Shape.of(2), new float[3]);
        assertThatThrownBy(() -> SafetensorsWriter.write(path, Map.of(), List.of(a, wrong)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("needs 8 bytes, but 12 were given");
        assertThat(folder).isEmptyDirectory();
    }
}
