package org.mamba4j.torch.train;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Writes scalars as TensorBoard reads them: a file of framed protocol buffers.
 *
 * <p>Two formats, both small enough to write by hand. A <i>record</i> [1] frames bytes with a length and two checksums:
 * {@code length (uint64), crc(length) (uint32), bytes, crc(bytes) (uint32)}, all little-endian. The checksum is CRC-32C,
 * rotated right by 15 bits plus a constant, so that a checksum over data which holds checksums stays good. Inside is a
 * protocol buffer [2] of type Event [3]: {@code wall_time = 1 (double), step = 2 (varint), file_version = 3 (string)} in
 * the first one, {@code summary = 5 (message)} in the others, whose {@code value = 1 (message)} has {@code tag = 1
 * (string), simple_value = 2 (float)}.
 *
 * <p>[1] TensorFlow, "TFRecord and tf.train.Example", section on the format. [2] Protocol Buffers, "Encoding". [3]
 * tensorboard/compat/proto/event.proto and summary.proto.
 */
final class EventFile implements AutoCloseable {
    private static final int MASK = 0xa282ead8;
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;

    private final FileChannel channel;

    /**
     * Makes the file, or empties it.
     *
     * @param file TensorBoard wants {@code tfevents} in its name
     * @param timeMillis wall clock of the first record, milliseconds since 1970
     */
    EventFile(Path file, long timeMillis) throws IOException {
        channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING);
        ByteArrayOutputStream event = new ByteArrayOutputStream();
        time(event, timeMillis);
        bytes(event, 3, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
        write(event);
    }

    /** Appends the scalars of one step as one record. */
    void scalars(int step, long timeMillis, Map<String, Double> values) throws IOException {
        ByteArrayOutputStream summary = new ByteArrayOutputStream();
        values.forEach((tag, number) -> {
            ByteArrayOutputStream value = new ByteArrayOutputStream();
            bytes(value, 1, tag.getBytes(StandardCharsets.UTF_8));
            key(value, 2, FIXED32);
            little(value, Float.floatToIntBits(number.floatValue()), 4);
            bytes(summary, 1, value.toByteArray());
        });
        ByteArrayOutputStream event = new ByteArrayOutputStream();
        time(event, timeMillis);
        key(event, 2, VARINT);
        varint(event, step);
        bytes(event, 5, summary.toByteArray());
        write(event);
    }

    private void write(ByteArrayOutputStream event) throws IOException {
        byte[] data = event.toByteArray();
        ByteBuffer record = ByteBuffer.allocate(16 + data.length).order(ByteOrder.LITTLE_ENDIAN);
        record.putLong(data.length);
        record.putInt(maskedCrc(record.array(), 0, 8));
        record.put(data);
        record.putInt(maskedCrc(data, 0, data.length));
        record.flip();
        // One write: a killed process leaves at most one torn record at the end, which TensorBoard waits for.
        while (record.hasRemaining()) {
            channel.write(record);
        }
    }

    /** CRC-32C as the record format masks it. */
    static int maskedCrc(byte[] data, int from, int length) {
        CRC32C crc = new CRC32C();
        crc.update(data, from, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + MASK;
    }

    private static void time(ByteArrayOutputStream out, long timeMillis) {
        key(out, 1, FIXED64);
        little(out, Double.doubleToLongBits(timeMillis / 1000.0), 8);
    }

    private static void bytes(ByteArrayOutputStream out, int field, byte[] content) {
        key(out, field, BYTES);
        varint(out, content.length);
        out.writeBytes(content);
    }

    private static void key(ByteArrayOutputStream out, int field, int wireType) {
        varint(out, ((long) field << 3) | wireType);
    }

    private static void varint(ByteArrayOutputStream out, long value) {
        long rest = value;
        while ((rest & ~0x7fL) != 0) {
            out.write((int) ((rest & 0x7f) | 0x80));
            rest >>>= 7;
        }
        out.write((int) rest);
    }

    private static void little(ByteArrayOutputStream out, long bits, int count) {
        for (int i = 0; i < count; i++) {
            out.write((int) (bits >>> (8 * i)));
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
