package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.mamba4j.torch.NotEnoughMemory;

/**
 * A part that trains nothing: it times something, or weighs it.
 *
 * @param model as {@link Part#model}
 * @param setting as {@link Part#setting}
 * @param seed as {@link Part#seed}
 * @param recipe as {@link Part#recipe}
 * @param projectSeconds as {@link Part#projectSeconds}
 * @param hindrance as {@link Part#hindrance}
 * @param measurement what is done
 */
record MeasuredPart(
        String model,
        String setting,
        long seed,
        String recipe,
        double projectSeconds,
        String hindrance,
        Measurement measurement)
        implements Part {
    /** Measures. */
    @FunctionalInterface
    interface Measurement {
        void measure(PartRun run, Figures figures);
    }

    /** Takes figures. */
    @FunctionalInterface
    interface Figures {
        /** As {@link Result} has them. */
        void add(String setting, String metric, double value, double seconds, long parameters);
    }

    @Override
    public List<Result> run(PartRun run) {
        List<Result> results = new ArrayList<>();
        measurement.measure(
                run,
                (where, metric, value, seconds, parameters) ->
                        results.add(new Result(model, where, seed, metric, value, seconds, parameters)));
        return results;
    }

    /**
     * Tries something that may need more memory than there is.
     *
     * @param work returns whether it could be done
     * @return false where there is not enough
     */
    static boolean fits(BooleanSupplier work) {
        try {
            return work.getAsBoolean();
        } catch (NotEnoughMemory e) {
            return false;
        }
    }
}
