package org.mamba4j.torch.bench;

import java.util.Map;
import java.util.OptionalDouble;

/**
 * Figures of the field's reference implementation (its CUDA and Triton kernels, torch 2.11), measured on one H200 and
 * one H100 80GB: seconds of a pass, tokens a second of training and generation.
 */
public final class Reference {
    private static final Map<String, Figures> FIGURES = Map.ofEntries(
            micros("scan B8 D1536 L2048 N16 bfloat16 forward", 449, 452),
            micros("scan B8 D1536 L2048 N16 bfloat16 backward", 1742, 1846),
            micros("scan B1 D1536 L131072 N16 bfloat16 forward", 4465, 4370),
            micros("scan B1 D1536 L131072 N16 bfloat16 backward", 15_484, 15_615),
            micros("scan B1 D384 L8192 N16 bfloat16 forward", 93, 93),
            micros("scan B1 D384 L8192 N16 bfloat16 backward", 294, 300),
            micros("conv B8 D1536 L2048 W4 bfloat16 forward", 33, 43),
            micros("conv B8 D1536 L2048 W4 bfloat16 backward", 106, 140),
            rate("train d768 x24 V50280 B8 L2048 bfloat16", 165_200, 140_600),
            rate("train d768 x24 V50280 B1 L32768 bfloat16", 162_200, 151_600),
            rate("train d384 x24 V256 B8 L8192 bfloat16", 412_200, 390_700),
            rate("train d384 x24 V256 B1 L8192 bfloat16", 138_800, 84_900),
            rate("generate d768 x24 V50280 B1 bfloat16", 1170, 1189),
            rate("generate d768 x24 V50280 B128 bfloat16", 106_400, 104_500),
            rate("generate d2048 x48 V50280 B1 bfloat16", 421, 384),
            rate("generate d2048 x48 V50280 B128 bfloat16", 25_900, 24_500));

    private Reference() {}

    /**
     * The reference's figure for the same work on the same kind of GPU; empty where it was not measured.
     *
     * @param work such as {@link PassResult#key}
     * @param machine its name
     */
    public static OptionalDouble of(String work, String machine) {
        Figures figures = FIGURES.get(work);
        if (figures == null) {
            return OptionalDouble.empty();
        }
        if (machine.contains("H200")) {
            return OptionalDouble.of(figures.h200);
        }
        return machine.contains("H100") ? OptionalDouble.of(figures.h100) : OptionalDouble.empty();
    }

    private static Map.Entry<String, Figures> micros(String work, double h200, double h100) {
        return Map.entry(work, new Figures(h200 * 1e-6, h100 * 1e-6));
    }

    private static Map.Entry<String, Figures> rate(String work, double h200, double h100) {
        return Map.entry(work, new Figures(h200, h100));
    }

    private record Figures(double h200, double h100) {}
}
