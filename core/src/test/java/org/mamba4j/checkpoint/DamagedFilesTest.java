package org.mamba4j.checkpoint;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.SafetensorsWriter.Tensor;
import org.mamba4j.inference.StateFile;
import org.mamba4j.inference.StateSnapshot;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

/**
 * Feeds more than 20,000 damaged files to the readers. Whatever the damage, a reader either reads the file or throws a
 * {@link UserError} of one line; it takes no time worth mentioning and allocates no more than the file's size and what
 * a small file costs anyhow.
 */
class DamagedFilesTest {
    private static final long SEED = 20_251_122;
    private static final long NANOS_PER_FILE = 5_000_000_000L;

    /** What opening costs whatever the file: a mapping, a path, a message, a stack trace; and the tree of a config. */
    private static final long FIXED_BYTES = 192 * 1024;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private static final MambaConfig CONFIG =
            MambaConfig.builder().vocabSize(11).dModel(6).nLayer(2).dState(3).build();

    @TempDir
    static Path folder;

    private static byte[] weights = {};
    private static byte[] state = {};
    private static byte[] config = {};
    private static byte[] stateSpacesConfig = {};

    private final Random random = new Random(SEED);
    private int refused;
    private int read;

    /** Reads one file to the end. */
    private interface Reader {
        void read(Path file);
    }

    @BeforeAll
    static void writeGoodFiles() throws IOException {
        Checkpoint.write(folder.resolve("good"), CONFIG, CheckpointTest.random(CONFIG, SEED));
        weights = Files.readAllBytes(folder.resolve("good/model.safetensors"));
        config = Files.readAllBytes(folder.resolve("good/config.json"));
        StateFile.write(folder.resolve("state"), CONFIG, "f", StateSnapshot.zeros(CONFIG, 7));
        state = Files.readAllBytes(folder.resolve("state"));
        stateSpacesConfig =
                ("{\"d_model\": 6, \"n_layer\": 2, \"vocab_size\": 11, \"ssm_cfg\": {\"d_state\": 3, \"dt_rank\": "
                                + "\"auto\"}, \"rms_norm\": true, \"residual_in_fp32\": true, \"fused_add_norm\": true, "
                                + "\"pad_vocab_size_multiple\": 8, \"tie_embeddings\": true, \"attn_layer_idx\": []}")
                        .getBytes(UTF_8);
        System.out.println("seed " + SEED);
    }

    @Test
    void damagedWeights() throws IOException {
        Path damaged = Files.createDirectory(folder.resolve("weights"));
        Files.write(damaged.resolve("config.json"), config);
        Path file = damaged.resolve("model.safetensors");
        for (int i = 0; i < 10_000; i++) {
            feed(file, damageSafetensors(weights), path -> {
                try (Checkpoint checkpoint = Checkpoint.open(damaged)) {
                    for (TensorSpec spec : checkpoint.config().parameters()) {
                        checkpoint.floats(spec.name());
                    }
                }
            });
        }
        // Bits flipped within values leave a file good: some of each kind, or the test tests nothing.
        assertThat(refused).isGreaterThan(6_500);
        assertThat(read).isGreaterThan(100);
    }

    @Test
    void damagedStates() throws IOException {
        for (int i = 0; i < 4_000; i++) {
            feed(folder.resolve("damaged-state"), damageSafetensors(state), path -> StateFile.read(path, CONFIG, "f"));
        }
        assertThat(refused).isGreaterThan(2_500);
        assertThat(read).isGreaterThan(50);
    }

    @Test
    void damagedConfigs() throws IOException {
        Path file = folder.resolve("config.json");
        for (int i = 0; i < 7_000; i++) {
            feed(file, damageJson(i % 2 == 0 ? config : stateSpacesConfig), path -> {
                assertThat(ModelConfig.read(path).modelType()).isEqualTo("mamba");
            });
        }
        assertThat(refused).isGreaterThan(3_500);
        assertThat(read).isGreaterThan(100);
    }

    /** Good weights under a config that says something else must be refused, not misread. */
    @Test
    void damagedConfigsOverGoodWeights() throws IOException {
        Path damaged = Files.createDirectory(folder.resolve("configs"));
        Files.write(damaged.resolve("model.safetensors"), weights);
        for (int i = 0; i < 2_000; i++) {
            feed(damaged.resolve("config.json"), damageJson(config), path -> {
                try (Checkpoint checkpoint = Checkpoint.open(damaged)) {
                    assertThat(checkpoint.config().parameterCount()).isEqualTo(CONFIG.parameterCount());
                }
            });
        }
        assertThat(refused).isGreaterThan(1_000);
        assertThat(read).isGreaterThan(20);
    }

    /** Great headers, so that "no more than the file's size" is not hidden in the fixed part. */
    @Test
    void greatHeadersCostNoMoreThanTheFile() throws IOException {
        Path file = folder.resolve("great.safetensors");
        int bytes = 2 << 20;
        for (String unit :
                List.of("[", "{\"a\":", "1,", "[1,", "\"a\":1,", "\"a\":\"b\",", "\"\\u0041\",", " ", "9", "\"")) {
            for (String start : List.of(
                    "",
                    "{",
                    "[",
                    "{\"a\":",
                    "{\"__metadata__\":{",
                    "{\"t\":{\"dtype\":\"",
                    "{\"t\":{\"shape\":[",
                    "{\"t\":{\"data_offsets\":[",
                    "{\"t\":{\"shape\":[1],",
                    "{\"t\":")) {
                String header = start + unit.repeat((bytes - start.length()) / unit.length());
                feed(
                        file,
                        withLength(header.getBytes(ISO_8859_1), new byte[0]),
                        path -> SafetensorsFile.open(path).close());
            }
        }
        assertThat(read).isZero();
    }

    /** A header may hold as many names as it has room for: objects cost more than their text, but in proportion. */
    @Test
    void wellFormedGreatHeadersCostInProportion() throws IOException {
        StringBuilder tensors = new StringBuilder("{");
        StringBuilder metadata = new StringBuilder("{\"__metadata__\":{");
        for (int i = 0; i < 20_000; i++) {
            String comma = i == 0 ? "" : ",";
            tensors.append(comma)
                    .append('"')
                    .append(i)
                    .append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
            metadata.append(comma).append('"').append(i).append("\":\"\"");
        }
        for (String header : List.of(tensors + "}", metadata + "}}")) {
            byte[] bytes = withLength(header.getBytes(ISO_8859_1), new byte[0]);
            feed(
                    folder.resolve("many"),
                    bytes,
                    path -> SafetensorsFile.open(path).close(),
                    40L * bytes.length);
        }
        assertThat(read).isEqualTo(2);
        byte[] name = ("{\"" + "a".repeat(1 << 20) + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,0]}}")
                .getBytes(ISO_8859_1);
        feed(
                folder.resolve("name"),
                withLength(name, new byte[0]),
                path -> SafetensorsFile.open(path).close(),
                3L * name.length);
    }

    private void feed(Path file, byte[] bytes, Reader reader) throws IOException {
        feed(file, bytes, reader, bytes.length + FIXED_BYTES);
    }

    private void feed(Path file, byte[] bytes, Reader reader, long allowed) throws IOException {
        Files.write(file, bytes);
        // What the first use of a message allocates belongs to the JVM, which links its code then: so twice.
        long allocated = measure(file, bytes, reader);
        if (allocated > allowed) {
            allocated = measure(file, bytes, reader);
        }
        assertThat(allocated)
                .as("bytes allocated for file %d of %d bytes", read + refused, bytes.length)
                .isLessThanOrEqualTo(allowed);
    }

    /** @return bytes allocated by reading the file */
    private long measure(Path file, byte[] bytes, Reader reader) throws IOException {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        long start = System.nanoTime();
        String message = "";
        try {
            reader.read(file);
            read++;
        } catch (UserError e) {
            refused++;
            message = String.valueOf(e.getMessage());
        } catch (RuntimeException | StackOverflowError e) {
            Path kept = Files.createTempFile("damaged", ".bin");
            Files.write(kept, bytes);
            throw new AssertionError("file " + (read + refused) + ", kept as " + kept, e);
        }
        long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
        assertThat(System.nanoTime() - start)
                .as("time for file %d", read + refused)
                .isLessThan(NANOS_PER_FILE);
        assertThat(message).doesNotContain("\n").hasSizeLessThan(1_000);
        return allocated;
    }

    private byte[] damageSafetensors(byte[] good) {
        int headerLength =
                (int) ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN).getLong();
        byte[] header = Arrays.copyOfRange(good, 8, 8 + headerLength);
        byte[] data = Arrays.copyOfRange(good, 8 + headerLength, good.length);
        return switch (random.nextInt(8)) {
            case 0 -> flipBits(good, good.length);
            case 1 -> flipBits(good, 8 + headerLength);
            case 2 -> Arrays.copyOf(good, random.nextInt(good.length));
            case 3 -> Arrays.copyOf(good, good.length + 1 + random.nextInt(100)); // trailing zeros
            case 4 -> {
                byte[] lie = good.clone();
                ByteBuffer.wrap(lie).order(ByteOrder.LITTLE_ENDIAN).putLong(0, lyingLength(headerLength));
                yield lie;
            }
            case 5 -> withLength(damageNumbers(header), data);
            case 6 -> withLength(damageJson(header), data);
            default -> withLength(swapTensors(header), data);
        };
    }

    private long lyingLength(int headerLength) {
        return switch (random.nextInt(4)) {
            case 0 -> headerLength + random.nextInt(-20, 20);
            case 1 -> random.nextInt(0, 4 * headerLength);
            case 2 -> 1L << random.nextInt(64);
            default -> random.nextLong();
        };
    }

    private static byte[] withLength(byte[] header, byte[] data) {
        return ByteBuffer.allocate(8 + header.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(header.length)
                .put(header)
                .put(data)
                .array();
    }

    private byte[] flipBits(byte[] good, int within) {
        byte[] bad = good.clone();
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
            bad[random.nextInt(within)] ^= (byte) (1 << random.nextInt(8));
        }
        return bad;
    }

    private byte[] damageJson(byte[] good) {
        return switch (random.nextInt(7)) {
            case 0 -> flipBits(good, good.length);
            case 1 -> Arrays.copyOf(good, random.nextInt(good.length));
            case 2 -> damageNumbers(good);
            case 3 -> {
                // Something of the file's own text in another place.
                int from = random.nextInt(good.length);
                int length = random.nextInt(Math.min(40, good.length - from) + 1);
                yield splice(
                        good,
                        random.nextInt(good.length),
                        random.nextInt(30),
                        Arrays.copyOfRange(good, from, from + length));
            }
            case 4 -> {
                byte[] noise = new byte[random.nextInt(8)];
                random.nextBytes(noise);
                yield splice(good, random.nextInt(good.length), random.nextInt(8), noise);
            }
            case 5 -> {
                String[] words = {
                    "null",
                    "true",
                    "[]",
                    "{}",
                    "\"\"",
                    "-1",
                    "1e999",
                    "[".repeat(5_000),
                    "{\"a\":".repeat(2_000),
                    "\\ud800",
                    "\"F8_E4M3\"",
                    "\"BF16\"",
                    "\"I64\"",
                    "9".repeat(3_000),
                    "NaN",
                    "\"auto\"",
                    "\u0000",
                    "/**/"
                };
                Matcher value = VALUE.matcher(new String(good, ISO_8859_1));
                int skip = random.nextInt(12);
                boolean found = value.find();
                for (int i = 0; i < skip && found; i++) {
                    int end = value.end();
                    if (!value.find(end)) {
                        value.find(0);
                    }
                }
                yield splice(
                        good,
                        value.start(1),
                        value.end(1) - value.start(1),
                        words[random.nextInt(words.length)].getBytes(ISO_8859_1));
            }
            default -> {
                // One key renamed to another key of the file or to nobody's.
                String text = new String(good, ISO_8859_1);
                List<String> keys =
                        KEY.matcher(text).results().map(m -> m.group(1)).toList();
                String to = random.nextInt(4) == 0 ? "nobody" : keys.get(random.nextInt(keys.size()));
                String from = keys.get(random.nextInt(keys.size()));
                yield text.replaceFirst(Pattern.quote("\"" + from + "\""), Matcher.quoteReplacement("\"" + to + "\""))
                        .getBytes(ISO_8859_1);
            }
        };
    }

    private static final Pattern VALUE = Pattern.compile(":\\s*([^,}\\]]+)");
    private static final Pattern KEY = Pattern.compile("\"([^\"]+)\"\\s*:");
    private static final Pattern NUMBER = Pattern.compile("-?[0-9][0-9.e+-]*");

    /** One to three numbers become others: near, huge, negative. */
    private byte[] damageNumbers(byte[] good) {
        String text = new String(good, ISO_8859_1);
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
            List<java.util.regex.MatchResult> all =
                    NUMBER.matcher(text).results().toList();
            if (all.isEmpty()) {
                break;
            }
            java.util.regex.MatchResult one = all.get(random.nextInt(all.size()));
            String value = switch (random.nextInt(9)) {
                case 0 -> "0";
                case 1 -> "-1";
                case 2 -> Long.toString(1L << random.nextInt(63));
                case 3 -> Long.toString(Long.MAX_VALUE - random.nextInt(30));
                case 4 -> "9".repeat(1 + random.nextInt(40));
                case 5 -> one.group() + "0";
                case 6 -> "1.5";
                case 7 -> all.get(random.nextInt(all.size())).group();
                default -> Integer.toString(random.nextInt(300));
            };
            text = text.substring(0, one.start()) + value + text.substring(one.end());
        }
        return text.getBytes(ISO_8859_1);
    }

    /** Exchanges the offsets of two tensors: right for neither unless both have one size. */
    private byte[] swapTensors(byte[] header) {
        String text = new String(header, ISO_8859_1);
        List<java.util.regex.MatchResult> all = Pattern.compile("\"data_offsets\":(\\[[0-9,]+\\])")
                .matcher(text)
                .results()
                .toList();
        java.util.regex.MatchResult a = all.get(random.nextInt(all.size()));
        java.util.regex.MatchResult b = all.get(random.nextInt(all.size()));
        if (a.start() > b.start()) {
            java.util.regex.MatchResult swap = a;
            a = b;
            b = swap;
        }
        if (a.start() == b.start()) {
            return text.replace(a.group(1), random.nextBoolean() ? "[0,0]" : "[8,0]")
                    .getBytes(ISO_8859_1);
        }
        return (text.substring(0, a.start(1))
                        + b.group(1)
                        + text.substring(a.end(1), b.start(1))
                        + a.group(1)
                        + text.substring(b.end(1)))
                .getBytes(ISO_8859_1);
    }

    private static byte[] splice(byte[] good, int at, int remove, byte[] insert) {
        int end = Math.min(good.length, at + remove);
        return ByteBuffer.allocate(at + insert.length + good.length - end)
                .put(good, 0, at)
                .put(insert)
                .put(good, end, good.length - end)
                .array();
    }

    @Test
    void aFileWhoseShapesAreHugeAndEmptyCostsNothing() throws IOException {
        String header =
                "{\"t\":{\"dtype\":\"F64\",\"shape\":[0,9223372036854775807,9223372036854775807],\"data_offsets\":[0,0]}}";
        feed(folder.resolve("empty-huge"), withLength(header.getBytes(UTF_8), new byte[0]), path -> {
            try (SafetensorsFile file = SafetensorsFile.open(path)) {
                assertThat(file.floats("t")).isEmpty();
            }
        });
        assertThat(read).isOne();
        // And the writer's own words for it.
        SafetensorsWriter.write(
                folder.resolve("again"),
                Map.of(),
                List.of(Tensor.ofFloats("t", Shape.of(0, Long.MAX_VALUE, Long.MAX_VALUE), new float[0])));
        SafetensorsFile.open(folder.resolve("again")).close();
        assertThat(JsonText.quoted("t")).isEqualTo("\"t\"");
    }
}
