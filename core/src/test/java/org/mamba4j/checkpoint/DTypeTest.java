package org.mamba4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.Test;

class DTypeTest {
    @Test
    void everyHalfReadsAndWritesBack() {
        for (DType type : new DType[] {DType.F16, DType.BF16}) {
            MemorySegment data = MemorySegment.ofArray(new short[1 << 16]);
            for (int i = 0; i < 1 << 16; i++) {
                data.setAtIndex(java.lang.foreign.ValueLayout.JAVA_SHORT, i, (short) i);
            }
            float[] floats = new float[1 << 16];
            type.toFloats(data, 0, floats, 0, floats.length);
            MemorySegment back = MemorySegment.ofArray(new short[1 << 16]);
            type.fromFloats(floats, 0, back, 0, floats.length);
            for (int i = 0; i < 1 << 16; i++) {
                if (Float.isNaN(floats[i])) {
                    assertThat(type.getFloat(back, i)).isNaN();
                } else {
                    assertThat(back.getAtIndex(java.lang.foreign.ValueLayout.JAVA_SHORT, i))
                            .isEqualTo((short) i);
                }
            }
        }
    }

    @Test
    void bf16RoundsToNearestTiesToEven() {
        long seed = 3;
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        for (int i = 0; i < 100_000; i++) {
            int bits = random.nextInt();
            if (i % 4 == 0) {
                bits = (bits & 0xffff0000) | 0x8000; // a tie
            }
            float value = Float.intBitsToFloat(bits);
            float down = Float.intBitsToFloat(bits & 0xffff0000);
            float up = Float.intBitsToFloat((bits & 0xffff0000) + 0x10000);
            if (!Float.isFinite(value) || !Float.isFinite(up)) {
                continue;
            }
            BigDecimal toDown =
                    new BigDecimal(value).subtract(new BigDecimal(down)).abs();
            BigDecimal toUp = new BigDecimal(up).subtract(new BigDecimal(value)).abs();
            int order = toDown.compareTo(toUp);
            boolean downIsEven = ((bits >>> 16) & 1) == 0;
            float expected = order < 0 || (order == 0 && downIsEven) ? down : up;
            assertThat(DType.bf16ToFloat(DType.floatToBf16(value))).isEqualTo(expected);
        }
        assertThat(DType.bf16ToFloat(DType.floatToBf16(Float.MAX_VALUE))).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(DType.bf16ToFloat(DType.floatToBf16(Float.NEGATIVE_INFINITY)))
                .isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(DType.bf16ToFloat(DType.floatToBf16(Float.intBitsToFloat(0x7f800001))))
                .isNaN();
        assertThat(DType.bf16ToFloat(DType.floatToBf16(Float.intBitsToFloat(0xffffffff))))
                .isNaN();
    }

    @Test
    void slicesNeedNotBeAligned() {
        MemorySegment data = MemorySegment.ofArray(new byte[41]).asSlice(1);
        for (DType type : DType.values()) {
            if (type.isFloating()) {
                type.fromFloats(new float[] {9, 1, 2, 3}, 1, data, 2, 3);
                float[] back = new float[4];
                type.toFloats(data, 2, back, 1, 3);
                assertThat(back).containsExactly(0, 1, 2, 3);
                assertThatThrownBy(() -> type.toFloats(data, 40, new float[4], 0, 4))
                        .isInstanceOf(IndexOutOfBoundsException.class);
            } else {
                assertThatThrownBy(() -> type.fromFloats(new float[1], 0, data, 0, 1))
                        .isInstanceOf(IllegalArgumentException.class);
            }
        }
    }
}
