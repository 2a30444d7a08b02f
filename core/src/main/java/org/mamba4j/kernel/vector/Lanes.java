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
import org.mamba4j.kernel.WeightFormat;

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

    /** A byte for each of {@link #FLOATS}, except that vectors of 32 bits do not exist. */
    private static final VectorSpecies<Byte> BYTE_SPECIES =
            FLOATS.length() > 8 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;

    /** How far bits 4 i and up (8 i and up) of an int are from its top, for four lanes. */
    private static final IntVector TO_TOP = IntVector.fromArray(IntVector.SPECIES_128, new int[] {24, 16, 8, 0}, 0);

    private static final IntVector LOW_TO_TOP =
            IntVector.fromArray(IntVector.SPECIES_128, new int[] {28, 20, 12, 4}, 0);

    /** Channels that are worked on side by side. */
    static final int COUNT = FLOATS.length();

    /** Pairs of vectors in a block of quantised numbers. */
    static final int PAIRS = WeightFormat.BLOCK / (2 * COUNT);

    /** Bytes of one vector. */
    static final int BYTES = FLOATS.vectorByteSize();

    // Restricted because it gives access to all memory, which is its purpose here.
    @SuppressWarnings("restricted")
    private static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
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

    /** As many signed bytes as there are lanes, as floats. */
    static FloatVector signedBytes(long address) {
        return floats(
                COUNT == 4
                        ? fourBytes(address)
                                .lanewise(VectorOperators.LSHL, TO_TOP)
                                .lanewise(VectorOperators.ASHR, 24)
                        : bytes(address, VectorOperators.B2I));
    }

    /** The lower halves of as many bytes as there are lanes, as floats. */
    static FloatVector lowHalves(long address) {
        return floats(
                COUNT == 4
                        ? fourBytes(address)
                                .lanewise(VectorOperators.LSHL, LOW_TO_TOP)
                                .lanewise(VectorOperators.LSHR, 28)
                        : bytes(address, VectorOperators.ZERO_EXTEND_B2I).and(15));
    }

    /** The upper halves of as many bytes as there are lanes, as floats. */
    static FloatVector highHalves(long address) {
        return floats(
                COUNT == 4
                        ? fourBytes(address)
                                .lanewise(VectorOperators.LSHL, TO_TOP)
                                .lanewise(VectorOperators.LSHR, 28)
                        : bytes(address, VectorOperators.ZERO_EXTEND_B2I).lanewise(VectorOperators.LSHR, 4));
    }

    private static IntVector bytes(long address, VectorOperators.Conversion<Byte, Integer> extension) {
        return (IntVector) ByteVector.fromMemorySegment(BYTE_SPECIES, MEMORY, address, ORDER)
                .convertShape(extension, INTS, 0);
    }

    /** Four bytes in each lane, little-endian. */
    private static IntVector fourBytes(long address) {
        return IntVector.broadcast(IntVector.SPECIES_128, MEMORY.get(INT, address));
    }

    private static FloatVector floats(IntVector ints) {
        return (FloatVector) ints.convert(VectorOperators.I2F, 0);
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
