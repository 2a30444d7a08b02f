package org.mamba4j.torch;

import java.util.function.Supplier;
import org.bytedeco.pytorch.GradMode;

/** Computing without building graphs; affects the calling thread only. */
public final class NoGrad {
    private NoGrad() {}

    /** Runs {@code body} with gradients switched off. */
    public static void run(Runnable body) {
        call(() -> {
            body.run();
            return Boolean.TRUE;
        });
    }

    /**
     * Computes {@code body} with gradients switched off.
     *
     * @return what {@code body} returns
     */
    public static <T> T call(Supplier<T> body) {
        Torch.load();
        boolean before = GradMode.is_enabled();
        GradMode.set_enabled(false);
        try {
            return body.get();
        } finally {
            GradMode.set_enabled(before);
        }
    }
}
