package org.mamba4j.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector width of this JVM, and access to memory by address.
 *
 * <p>The compiler turns vector operations into instructions only where it sees the species as a constant. So the width is
 * a static final of this class, read once from the system property {@code mamba4j.vectorBits} (128, 256 or 512; by
 * default what the machine prefers); tests load the package several times to run every width in one JVM.
 *
 * <p>Kernels work on addresses inside one segment that spans all memory. Their arguments were checked when they were
 * built; a check of each access against the bounds and the lifetime of its own segment would cost more than the
 * arithmetic, and would deny the worker threads memory of a confined arena.
 */
final class Lanes {
    static final VectorSpecies<Float> FLOATS = species();

    private static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);

    /** As many lanes, of half the width. */
    private static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

    /** The least that has a lane for each of {@link #FLOATS}; vectors of 32 bits do not exist. */
    private static final VectorSpecies<Byte> BYTE_SPECIES =
            FLOATS.length() > 8 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;

    /** Bytes that {@link #bytes} reads. */
    static final int BYTE_COUNT = BYTE_SPECIES.length();

    /** Channels that are worked on side by side. */
    static final int COUNT = FLOATS.length();

    /** Bytes of one vector. */
    static final int BYTES = FLOATS.vectorByteSize();

    // Restricted because it gives access to all memory, which is its purpose here.
    @SuppressWarnings("restricted")
    private static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private Lanes() {}

    private static VectorSpecies<Float> species() {
        int bits = Integer.getInteger("mamba4j.vectorBits", FloatVector.SPECIES_PREFERRED.vectorBitSize());
        return switch (bits) {
            case 128 -> FloatVector.SPECIES_128;
            case 256 -> FloatVector.SPECIES_256;
            case 512 -> FloatVector.SPECIES_512;
            default ->
                throw new IllegalArgumentException(
                        "-Dmamba4j.vectorBits=" + bits + ": use 128, 256 or 512, or leave it out");
        };
    }

    static FloatVector load(long address) {
        return FloatVector.fromMemorySegment(FLOATS, MEMORY, address, ORDER);
    }

    static void store(FloatVector value, long address) {
        value.intoMemorySegment(MEMORY, address, ORDER);
    }

    static FloatVector broadcast(float value) {
        return FloatVector.broadcast(FLOATS, value);
    }

    static FloatVector zero() {
        return FloatVector.zero(FLOATS);
    }

    static float get(long address) {
        return MEMORY.get(FLOAT, address);
    }

    static short getShort(long address) {
        return MEMORY.get(SHORT, address);
    }

    /** As many 16-bit integers as there are lanes, each made 32 bits wide by {@code extension}. */
    static IntVector shorts(long address, VectorOperators.Conversion<Short, Integer> extension) {
        return (IntVector)
                ShortVector.fromMemorySegment(SHORTS, MEMORY, address, ORDER).convertShape(extension, INTS, 0);
    }

    static byte getByte(long address) {
        return MEMORY.get(ValueLayout.JAVA_BYTE, address);
    }

    /** {@link #BYTE_COUNT} bytes. */
    static ByteVector bytes(long address) {
        return ByteVector.fromMemorySegment(BYTE_SPECIES, MEMORY, address, ORDER);
    }

    /** Part {@code part} of {@code bytes}, as many as there are lanes, each made 32 bits wide by {@code extension}. */
    static IntVector ints(ByteVector bytes, VectorOperators.Conversion<Byte, Integer> extension, int part) {
        return (IntVector) bytes.convertShape(extension, INTS, part);
    }

    static void put(long address, float value) {
        MEMORY.set(FLOAT, address, value);
    }

    /** Sets {@code floats} floats to zero; not by a slice of memory, which would be an object for every call. */
    static void clear(long address, long floats) {
        long vectors = floats / COUNT;
        for (long i = 0; i < vectors; i++) {
            store(zero(), address + i * COUNT * Float.BYTES);
        }
        for (long i = vectors * COUNT; i < floats; i++) {
            put(address + i * Float.BYTES, 0);
        }
    }

    static void copy(long from, long to, long bytes) {
        MemorySegment.copy(MEMORY, from, MEMORY, to, bytes);
    }

    /** How many vectors hold {@code channels} channels, the last one perhaps in part. */
    static int blocks(int channels) {
        return Math.ceilDiv(channels, COUNT);
    }

    /** Copies {@code rows} rows of {@code count} floats, {@code stride} bytes apart, to {@code to[offset …]} without gaps. */
    static void copy(long from, long stride, float[] to, int offset, int rows, int count) {
        for (int row = 0; row < rows; row++) {
            MemorySegment.copy(MEMORY, FLOAT, from + row * stride, to, offset + row * count, count);
        }
    }

    /** Copies {@code rows} rows of {@code count} floats; strides in bytes. */
    static void copy(long from, long fromStride, long to, long toStride, int rows, int count) {
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < count; i++) {
                put(to + row * toStride + 4L * i, get(from + row * fromStride + 4L * i));
            }
        }
    }
}
