package org.mamba4j.torch.bench;

import java.util.Arrays;
import java.util.Locale;
import org.mamba4j.UserError;

/** A pass of an operation. */
public enum Pass {
    /** Its results. */
    FORWARD,
    /** Its gradients. */
    BACKWARD;

    /** The name that users write. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** @throws UserError if {@code key} names none */
    public static Pass of(String key) {
        return Arrays.stream(values())
                .filter(pass -> pass.key().equals(key))
                .findFirst()
                .orElseThrow(() -> new UserError("pass " + key + ": unknown; use forward, backward or both"));
    }
}
