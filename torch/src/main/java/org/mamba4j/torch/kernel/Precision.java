package org.mamba4j.torch.kernel;

import java.util.Arrays;
import java.util.Locale;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;

/** The type of activations and of the factors of matrix products; parameters and states are float32 in all. */
public enum Precision {
    /** 24 bits of precision. */
    FLOAT32(ScalarType.Float),
    /** 8 bits of precision and the range of float32: half the memory, and the tensor cores of a GPU. */
    BFLOAT16(ScalarType.BFloat16);

    private final ScalarType type;

    Precision(ScalarType type) {
        this.type = type;
    }

    /** libtorch's name of it. */
    public ScalarType type() {
        return type;
    }

    /** The name that users write. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** @throws UserError if {@code key} names none */
    public static Precision of(String key) {
        return Arrays.stream(values())
                .filter(precision -> precision.key().equals(key))
                .findFirst()
                .orElseThrow(() -> new UserError("precision " + key + ": unknown; use float32 or bfloat16"));
    }
}
