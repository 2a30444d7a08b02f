package org.mamba4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Random;
import java.util.SequencedMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.model.Shape;

/** What is written is read; what is damaged is refused in one line, quickly, and without much memory. */
class GgufFileTest {
    private static final long SEED = 6;

    /** Offsets within the file of {@link #writeGoodFile}. */
    private static final int VERSION = 4;

    private static final int TENSOR_COUNT = 8;
    private static final int KEY_COUNT = 16;
    private static final int FIRST_KEY = 24;

    private static final long MOST_ALLOCATED = 1 << 17;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir
    Path folder;

    private Path file = Path.of("");
    private byte[] good = {};

    @BeforeEach
    void writeGoodFile() throws IOException {
        file = folder.resolve("good.gguf");
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>();
        keys.put("a.text", GgufValue.of("größer"));
        keys.put("a.number", GgufValue.of(-1));
        keys.put("a.float", GgufValue.of(1e-5f));
        keys.put("a.bool", GgufValue.of(true));
        keys.put("some.texts", GgufValue.ofTexts(List.of("", "Ġthe", "x".repeat(300))));
        keys.put("some.ints", GgufValue.ofInts(new int[] {3, -2, Integer.MAX_VALUE}));
        keys.put("no.texts", GgufValue.ofTexts(List.of()));
        List<GgufWriter.Tensor> tensors = List.of(
                tensor("m", GgmlType.F32, Shape.of(3, 5)),
                tensor("q", GgmlType.Q8_0, Shape.of(2, 64)),
                tensor("s", GgmlType.F16, Shape.of()),
                tensor("v", GgmlType.Q4_0, Shape.of(32)));
        GgufWriter.write(file, keys, tensors);
        good = Files.readAllBytes(file);
    }

    private static GgufWriter.Tensor tensor(String name, GgmlType type, Shape shape) {
        byte[] bytes = new byte[(int) type.bytes(shape.elements())];
        Arrays.fill(bytes, (byte) name.charAt(0));
        return new GgufWriter.Tensor(name, type, shape, () -> MemorySegment.ofArray(bytes));
    }

    @Test
    void readsWhatWasWritten() {
        try (GgufFile read = GgufFile.open(file)) {
            assertThat(read.version()).isEqualTo(3);
            assertThat(read.text("a.text")).isEqualTo("größer");
            assertThat(read.metadata().get("a.number")).hasToString("4294967295");
            assertThat(read.real("a.float")).isEqualTo(1e-5);
            assertThat(read.bool("a.bool")).isTrue();
            String[] texts = new String[read.length("some.texts")];
            read.texts("some.texts", (text, i) -> texts[i] = text);
            assertThat(texts).containsExactly("", "Ġthe", "x".repeat(300));
            assertThat(read.integers("some.ints")).containsExactly(3, -2, Integer.MAX_VALUE);
            assertThat(read.length("no.texts")).isZero();
            assertThat(read.tensors().keySet()).containsExactly("m", "q", "s", "v");
            read.tensors().values().forEach(tensor -> {
                assertThat(tensor.offset() % 32).isZero();
                assertThat(read.data(tensor).byteSize()).isEqualTo(tensor.bytes());
                for (long i = 0; i < tensor.bytes(); i++) {
                    assertThat(read.data(tensor).get(java.lang.foreign.ValueLayout.JAVA_BYTE, i))
                            .isEqualTo((byte) tensor.name().charAt(0));
                }
            });
            assertThat(read.tensors().values().stream().map(GgufTensor::shape))
                    .containsExactly(Shape.of(3, 5), Shape.of(2, 64), Shape.of(), Shape.of(32));
            assertThat(read.metadata().get("some.texts")).hasToString("3 × TEXT");
            assertThat(read.metadata().get("some.ints")).hasToString("3 × I32: 3, -2, 2147483647");
        }
    }

    @Test
    void wrongUsesOfKeysAreNamed() {
        try (GgufFile read = GgufFile.open(file)) {
            assertThatThrownBy(() -> read.text("b"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("has no key \"b\"");
            assertThatThrownBy(() -> read.text("a.number")).hasMessageContaining("(U32), but must be a text");
            assertThatThrownBy(() -> read.bool("a.text")).hasMessageContaining("but must be a bool");
            assertThatThrownBy(() -> read.real("some.ints")).hasMessageContaining("but must be a float");
            assertThatThrownBy(() -> read.integer("a.number", 0, 5)).hasMessageContaining("must be from 0 to 5");
            assertThatThrownBy(() -> read.integer("some.ints", 0, 5)).hasMessageContaining("must be an integer");
            assertThatThrownBy(() -> read.integers("some.texts")).hasMessageContaining("must be an array of integers");
            assertThatThrownBy(() -> read.texts("some.ints", (text, i) -> {}))
                    .hasMessageContaining("must be an array of texts");
        }
    }

    /** Cut anywhere but in the padding at the end. */
    @Test
    void everyCutIsRefused() throws IOException {
        int padding = 32 - (int) GgmlType.Q4_0.bytes(32);
        for (int length = 0; length < good.length; length++) {
            byte[] cut = Arrays.copyOf(good, length);
            if (length < good.length - padding) {
                assertThat(refusal(cut)).as("%d bytes", length).isNotEmpty();
            } else {
                assertThat(refusal(cut)).as("%d bytes", length).isEmpty();
            }
        }
    }

    @Test
    void everyDamagedByteIsRefusedOrRead() throws IOException {
        int refused = 0;
        for (int at = 0; at < good.length; at++) {
            for (int value : new int[] {0, 1, 0x7f, 0x80, 0xff, good[at] ^ 1}) {
                byte[] damaged = good.clone();
                damaged[at] = (byte) value;
                refused += refusal(damaged).isEmpty() ? 0 : 1;
            }
        }
        assertThat(refused).isGreaterThan(700);
        Random random = new Random(SEED);
        System.out.println("seed " + SEED);
        for (int i = 0; i < 20_000; i++) {
            byte[] damaged = good.clone();
            for (int n = random.nextInt(4); n >= 0; n--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            refused += refusal(damaged).isEmpty() ? 0 : 1;
        }
        assertThat(refused).isGreaterThan(5_000);
    }

    @Test
    void namesWhatIsWrong() throws IOException {
        assertThat(refusal(new byte[0])).contains("is no GGUF file");
        assertThat(refusal("PK and so on, for long enough".getBytes(StandardCharsets.UTF_8)))
                .contains("is no GGUF file");
        assertThat(refusal(withInt(VERSION, 1))).contains("is of version 1 of GGUF");
        assertThat(refusal(withInt(VERSION, 4))).contains("is of version 4 of GGUF", "update this program");
        assertThat(refusal(withInt(VERSION, 3 << 24))).contains("big-endian");
        assertThat(refusal(withInt(VERSION, 2))).isEmpty();
        assertThat(refusal(withLong(TENSOR_COUNT, 1L << 40))).contains("1099511627776 tensors", "have room for");
        assertThat(refusal(withLong(TENSOR_COUNT, -1))).contains("18446744073709551615 tensors");
        assertThat(refusal(withLong(KEY_COUNT, Long.MAX_VALUE))).contains("9223372036854775807 keys");
        assertThat(refusal(withLong(FIRST_KEY, 1 << 20))).contains("key number 0", "has a text of 1048576 bytes");
        int firstType = FIRST_KEY + 8 + "a.text".length();
        assertThat(refusal(withInt(firstType, 13))).contains("key \"a.text\" has the type 13");
        assertThat(refusal(withLong(firstType + 4, 1 << 30))).contains("key \"a.text\" has a text of 1073741824 bytes");
        int tensor = find("m\2\0\0\0");
        assertThat(refusal(withInt(tensor + 1, 5))).contains("tensor \"m\" has 5 dimensions");
        assertThat(refusal(withLong(tensor + 5, -7))).contains("tensor \"m\" has a dimension of");
        assertThat(refusal(withLong(tensor + 5, Long.MAX_VALUE))).contains("tensor \"m\" has more bytes than 63 bits");
        assertThat(refusal(withInt(tensor + 21, 99))).contains("tensor \"m\" has elements of type 99", "Q8_0");
        assertThat(refusal(withInt(tensor + 21, 8))).contains("rows of 5 numbers, which are no whole number of blocks");
        assertThat(refusal(withLong(tensor + 25, 32))).contains("tensor \"m\" begins at byte 32 of the data");
        assertThat(refusal(withLong(tensor + 13, 1 << 20))).contains("tensor \"m\" ends at byte", "cut off");
    }

    @Test
    void alignmentIsHonouredOrRefused() throws IOException {
        for (int alignment : new int[] {0, 3, 24, 1 << 21}) {
            assertThat(refusal(aligned(alignment))).contains("\"general.alignment\" is " + alignment);
        }
        assertThat(refusal(aligned(32))).isEmpty();
        // The same tensors, elsewhere than this alignment puts them.
        assertThat(refusal(aligned(256))).contains("tensor \"q\" begins at byte");
    }

    /** The good file with an alignment that it was not written with. */
    private byte[] aligned(int alignment) throws IOException {
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>();
        keys.put("general.alignment", GgufValue.of(alignment));
        Path other = folder.resolve("aligned.gguf");
        GgufWriter.write(
                other,
                keys,
                List.of(tensor("m", GgmlType.F32, Shape.of(3, 5)), tensor("q", GgmlType.Q8_0, Shape.of(2, 640))));
        return Files.readAllBytes(other);
    }

    @Test
    void otherFilesAreNoGguf() throws IOException {
        assertThat(GgufFile.isOne(file)).isTrue();
        assertThat(GgufFile.isOne(folder)).isFalse();
        assertThat(GgufFile.isOne(folder.resolve("nothing"))).isFalse();
        assertThat(GgufFile.isOne(Files.write(folder.resolve("short"), new byte[] {'G', 'G', 'U'})))
                .isFalse();
        assertThatThrownBy(() -> GgufFile.open(folder)).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> GgufFile.open(folder.resolve("nothing")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("does not exist");
    }

    private byte[] withInt(int at, int value) {
        byte[] damaged = good.clone();
        ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putInt(at, value);
        return damaged;
    }

    private byte[] withLong(int at, long value) {
        byte[] damaged = good.clone();
        ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putLong(at, value);
        return damaged;
    }

    private int find(String bytes) {
        int at = new String(good, StandardCharsets.ISO_8859_1).indexOf(bytes);
        assertThat(at).isPositive();
        return at;
    }

    /** The message about a file, empty if it was read to the end; anything but a {@link UserError} fails the test. */
    private static String refusal(byte[] bytes) {
        MemorySegment file = MemorySegment.ofArray(bytes);
        // What the first use of a message allocates belongs to the JVM, which links its code then: so twice.
        String message = "";
        long allocated = Long.MAX_VALUE;
        for (int i = 0; i < 2 && allocated > MOST_ALLOCATED; i++) {
            long before = THREADS.getCurrentThreadAllocatedBytes();
            message = read(file);
            allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
        }
        assertThat(allocated).as(message).isLessThanOrEqualTo(MOST_ALLOCATED);
        if (!message.isEmpty()) {
            assertThat(message).contains("damaged.gguf").doesNotContain("\n").hasSizeLessThan(600);
        }
        return message;
    }

    private static String read(MemorySegment file) {
        try {
            GgufHeader header = GgufHeader.parse(file, "damaged.gguf");
            header.metadata()
                    .values()
                    .forEach(value -> assertThat(value.toString()).isNotNull());
            header.tensors()
                    .values()
                    .forEach(tensor -> assertThat(file.asSlice(header.dataStart() + tensor.offset(), tensor.bytes())
                                    .byteSize())
                            .isEqualTo(tensor.bytes()));
            return "";
        } catch (UserError e) {
            return String.valueOf(e.getMessage());
        } catch (RuntimeException e) {
            return fail("unexpected", e);
        }
    }

    /** The way from a file to the header that the other tests damage. */
    @Test
    void filesOnTheDiskAreRefusedToo() throws IOException {
        Path damaged = folder.resolve("damaged.gguf");
        for (int length : new int[] {0, 3, 30, good.length / 2, good.length - 40}) {
            Files.write(damaged, Arrays.copyOf(good, length));
            assertThatThrownBy(() -> GgufFile.open(damaged).close())
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining(damaged.toString());
        }
    }
}
