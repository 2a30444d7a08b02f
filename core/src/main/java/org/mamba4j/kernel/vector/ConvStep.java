package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.put;

import org.mamba4j.kernel.ConvArguments;

/**
 * One step of a convolution, as each generated token takes it: a few products per channel, which lie side by side in
 * memory with the inputs that they meet, so they are done one by one; only silu has channels as lanes.
 */
final class ConvStep {
    private ConvStep() {}

    /** Whether {@code s} is a single step that this class can take. */
    static boolean fits(ConvArguments s) {
        return s.length() == 1
                && s.batch() == 1
                && s.channels() > 0
                && (s.width() == 1
                        || (s.initialState().byteSize() > 0 && s.lastState().byteSize() > 0));
    }

    static void run(ConvArguments s) {
        int channels = s.channels();
        long vectors = Lanes.blocks(channels);
        Scratch scratch = Scratch.ofThread(2 * vectors);
        long sums = scratch.take(vectors);
        boolean biased = s.bias().byteSize() > 0;
        long bias = s.bias().address();
        long x = ScanLayout.address(s.x(), 0, 0, 0);
        int kept = s.width() - 1;
        long weight = s.weight().address();
        long before = s.initialState().address();
        long after = s.lastState().address();
        for (int channel = 0; channel < channels; channel++) {
            float now = get(x + 4L * channel);
            long w = weight + 4L * channel * s.width();
            long row = 4L * channel * kept;
            float sum = biased ? get(bias + 4L * channel) : 0;
            for (int k = 0; k < kept; k++) {
                float old = get(before + row + 4L * k);
                sum += get(w + 4L * k) * old;
                if (k > 0) {
                    put(after + row + 4L * k - 4, old);
                }
            }
            if (kept > 0) {
                put(after + row + 4L * kept - 4, now);
            }
            put(sums + 4L * channel, sum + get(w + 4L * kept) * now);
        }
        if (s.silu()) {
            StepFrame f = StepFrame.ofThread();
            f.count = channels;
            f.x = sums;
            f.power = scratch.take(vectors);
            f.run(StepFrame.SILU);
        }
        Lanes.copy(sums, ScanLayout.address(s.y(), 0, 0, 0), 4L * channels);
    }
}
