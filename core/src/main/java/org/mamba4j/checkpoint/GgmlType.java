package org.mamba4j.checkpoint;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.mamba4j.kernel.WeightFormat;

/**
 * Element types of a tensor in a GGUF file. Quantised types have blocks of a row's numbers; only {@link #Q8_0} and
 * {@link #Q4_0} are computed with, the others are known by their sizes, so that a file that has them can be shown.
 */
public enum GgmlType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q8_1(9, 32, 36),
    Q2_K(10, 256, 84),
    Q3_K(11, 256, 110),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    Q8_K(15, 256, 292),
    I8(24, 1, 1),
    I16(25, 1, 2),
    I32(26, 1, 4),
    I64(27, 1, 8),
    F64(28, 1, 8),
    BF16(30, 1, 2);

    private static final List<GgmlType> VALUES = List.of(values());

    private final int code;
    private final int blockSize;
    private final int blockBytes;

    GgmlType(int code, int blockSize, int blockBytes) {
        this.code = code;
        this.blockSize = blockSize;
        this.blockBytes = blockBytes;
    }

    /** The number that files have for it. */
    int code() {
        return code;
    }

    static Optional<GgmlType> of(int code) {
        return VALUES.stream().filter(type -> type.code == code).findFirst();
    }

    /** The types that parameters may have. */
    static String usable() {
        return Arrays.stream(values())
                .filter(type -> type == F64 || type.format().isPresent())
                .map(GgmlType::name)
                .collect(Collectors.joining(", "));
    }

    /** Whether rows of {@code columns} numbers are whole blocks. */
    public boolean fits(long columns) {
        return columns % blockSize == 0;
    }

    /**
     * Bytes of {@code count} numbers, whole blocks.
     *
     * @throws ArithmeticException if that does not fit in 63 bits
     */
    public long bytes(long count) {
        return Math.multiplyExact(count / blockSize, (long) blockBytes);
    }

    /** What the kernels call it, if they compute with it. */
    public Optional<WeightFormat> format() {
        return switch (this) {
            case F32 -> Optional.of(WeightFormat.F32);
            case F16 -> Optional.of(WeightFormat.F16);
            case BF16 -> Optional.of(WeightFormat.BF16);
            case Q8_0 -> Optional.of(WeightFormat.Q8);
            case Q4_0 -> Optional.of(WeightFormat.Q4);
            default -> Optional.empty();
        };
    }

    /** The type that holds {@code format}. */
    static GgmlType of(WeightFormat format) {
        return switch (format) {
            case F32 -> F32;
            case F16 -> F16;
            case BF16 -> BF16;
            case Q8 -> Q8_0;
            case Q4 -> Q4_0;
        };
    }
}
