package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reads event files back with a decoder that shares no code with the writer, its own bitwise CRC included. */
class EventFileTest {
    @TempDir
    Path folder;

    @Test
    void beginsLikeEveryEventFile() throws IOException {
        Path file = folder.resolve("events.out.tfevents.0.test");
        new EventFile(file, 1_000).close();

        // Length 24 with its masked CRC, as TensorFlow writes it, then wall time 1.0 and "brain.Event:2".
        assertThat(HexFormat.of().formatHex(Files.readAllBytes(file), 0, 36))
                .isEqualTo("1800000000000000" + "a37f4b22" + "09" + "000000000000f03f" + "1a0d"
                        + HexFormat.of().formatHex("brain.Event:2".getBytes(StandardCharsets.US_ASCII)));
    }

    @Test
    void crcIsThatOfTheStandard() {
        byte[] digits = "123456789".getBytes(StandardCharsets.US_ASCII);

        assertThat(crc32c(digits)).isEqualTo(0xE3069283);
        assertThat(EventFile.maskedCrc(digits, 0, 9)).isEqualTo(masked(digits));
    }

    @Test
    void scalarsComeBackWithTagsStepsAndTimes() throws IOException {
        Path file = folder.resolve("events.out.tfevents.0.test");
        Map<String, Double> both = new LinkedHashMap<>();
        both.put("train_loss", 1.25);
        both.put("größe", -3.5e-7);
        try (EventFile events = new EventFile(file, 0)) {
            events.scalars(7, 1_500, both);
            events.scalars(1_000_000_007, 1_763_800_000_123L, Map.of("valid_loss", 0.1));
        }

        List<Event> events = read(file);
        assertThat(events).hasSize(3);
        assertThat(events.get(0).version).isEqualTo("brain.Event:2");
        assertThat(events.get(1).step).isEqualTo(7);
        assertThat(events.get(1).wallTime).isEqualTo(1.5);
        assertThat(events.get(1).scalars)
                .containsExactlyInAnyOrderEntriesOf(Map.of("train_loss", 1.25f, "größe", -3.5e-7f));
        assertThat(events.get(2).step).isEqualTo(1_000_000_007);
        assertThat(events.get(2).wallTime).isCloseTo(1_763_800_000.123, within(1e-6));
        assertThat(events.get(2).scalars).containsExactly(Map.entry("valid_loss", 0.1f));
    }

    private static final class Event {
        double wallTime;
        long step;
        String version = "";
        final Map<String, Float> scalars = new LinkedHashMap<>();
    }

    private static List<Event> read(Path file) throws IOException {
        List<Event> events = new ArrayList<>();
        ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        while (in.hasRemaining()) {
            byte[] length = new byte[8];
            in.get(length);
            assertThat(in.getInt()).isEqualTo(masked(length));
            byte[] data = new byte
                    [(int) ByteBuffer.wrap(length)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .getLong()];
            in.get(data);
            assertThat(in.getInt()).isEqualTo(masked(data));
            events.add(event(ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)));
        }
        return events;
    }

    private static Event event(ByteBuffer in) {
        Event event = new Event();
        while (in.hasRemaining()) {
            int key = (int) varint(in);
            switch (key) {
                case (1 << 3) | 1 -> event.wallTime = in.getDouble();
                case 2 << 3 -> event.step = varint(in);
                case (3 << 3) | 2 -> event.version = text(in);
                case (5 << 3) | 2 -> {
                    ByteBuffer summary = message(in);
                    while (summary.hasRemaining()) {
                        assertThat(varint(summary)).isEqualTo((1 << 3) | 2);
                        ByteBuffer value = message(summary);
                        assertThat(varint(value)).isEqualTo((1 << 3) | 2);
                        String tag = text(value);
                        assertThat(varint(value)).isEqualTo((2 << 3) | 5);
                        event.scalars.put(tag, value.getFloat());
                        assertThat(value.hasRemaining()).isFalse();
                    }
                }
                default -> throw new AssertionError("unknown field " + key);
            }
        }
        return event;
    }

    private static long varint(ByteBuffer in) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = in.get();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value;
            }
        }
    }

    private static ByteBuffer message(ByteBuffer in) {
        int length = (int) varint(in);
        ByteBuffer part = in.slice(in.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        in.position(in.position() + length);
        return part;
    }

    private static String text(ByteBuffer in) {
        ByteBuffer part = message(in);
        byte[] bytes = new byte[part.remaining()];
        part.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static int masked(byte[] data) {
        int crc = crc32c(data);
        return ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
    }

    /** Bit by bit, straight from the polynomial. */
    private static int crc32c(byte[] data) {
        int crc = ~0;
        for (byte b : data) {
            crc ^= b & 0xff;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 1) == 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
            }
        }
        return ~crc;
    }

    @Test
    void aFileThatIsThereIsEmptied() throws IOException {
        Path file = folder.resolve("events.out.tfevents.0.test");
        byte[] old = new byte[10_000];
        Arrays.fill(old, (byte) 1);
        Files.write(file, old);

        new EventFile(file, 0).close();

        assertThat(read(file)).hasSize(1);
    }
}
