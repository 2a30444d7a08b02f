package org.mamba4j.inference.engine;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.mamba4j.inference.State;

/**
 * Prints how many bytes a token of the model in the folder {@code args[0]} allocates, once it is warm. A process of its
 * own: in one where other tests ran the same loops with vectors of other widths, the compiler no longer knows the width.
 */
final class AllocationChild {
    private static final int TOKENS = 5_000;
    private static final long PATIENCE = 60_000_000_000L;

    private AllocationChild() {}

    public static void main(String[] args) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long own = Thread.currentThread().threadId();
        try (JavaLanguageModel model = JavaLanguageModel.open(Path.of(args[0]));
                State state = model.newState()) {
            int vocabulary = model.vocabSize();
            float[] logits = new float[vocabulary];
            int[] tokens = new SplittableRandom(9).ints(TOKENS, 0, vocabulary).toArray();
            double perToken = Double.MAX_VALUE;
            // Warm is when everything is compiled, whenever that is on a busy machine.
            for (long end = System.nanoTime() + PATIENCE; perToken >= 1 && System.nanoTime() < end; ) {
                long before = threads.getThreadAllocatedBytes(own);
                for (int token : tokens) {
                    model.step(state, token);
                    model.logits(state, logits);
                }
                perToken = (threads.getThreadAllocatedBytes(own) - before) / (double) TOKENS;
            }
            System.out.println(perToken);
        }
    }
}
