package org.mamba4j.torch.train;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.data.Draws;
import org.mamba4j.torch.nn.MemoryTraining;

/**
 * How a memory learns what to note: dense and soft first, priced, then hard.
 *
 * <p>A hard choice trained from the start does not learn: what was never noted gets no gradient, and what is not read is
 * pushed below the threshold for good. So the choice hardens while the model learns to use it:
 *
 * <ol>
 *   <li>Every token is noted and the pool has room for all: attention learns to find what is asked for.
 *   <li>Notes have a price: the mean gate may exceed a share ρ only at a cost, and ρ falls. Attention reads a note by its
 *       gate (log g is part of the logit), so the scorer learns to rank what is read above what is not.
 *   <li>The pool shrinks to its size at inference: being among the first becomes being remembered.
 *   <li>Pool and price stay; for a while some tokens are noted at random, so that a kind of token that the scorer has
 *       given up can still be found useful.
 * </ol>
 *
 * <p>What falls, falls straight in the logarithm. A function of progress and length alone, so a run resumes without any
 * state of it.
 *
 * @param poolSize notes of a pool at inference (P)
 * @param notes what a recipe can change of it
 */
public record MemoryCourse(int poolSize, TrainConfig.Notes notes) {
    /** Shares of a run's steps at which its parts end; the first one is the recipe's. */
    static final double SOFT_UNTIL = 0.33;

    static final double SHRINKING_UNTIL = 0.49;
    static final double EXPLORING_UNTIL = 0.83;

    private static final double LEAST_SOFT_SHARE = 0.06;

    /**
     * What holds at one step.
     *
     * @param capacity notes of a pool (C)
     * @param dense whether every token is noted
     * @param freeShare mean gate up to which notes are free (ρ)
     * @param price factor of the price (c)
     * @param exploration probability that a token is noted whatever its score
     */
    public record Stage(int capacity, boolean dense, double freeShare, double price, double exploration) {
        /**
         * For one forward pass.
         *
         * @param seed another one for each pass
         */
        public MemoryTraining training(long seed) {
            return new MemoryTraining(new MemoryTraining.Controls(capacity, dense, exploration, seed, true));
        }

        /** {@code loss} and the price of the notes that {@code training} has seen taken. */
        public Tensor priced(Tensor loss, MemoryTraining training) {
            return price == 0 ? loss : loss.add(training.notePrice(freeShare), new Scalar(price));
        }
    }

    /** The course of a recipe for pools of {@code poolSize} notes. */
    static MemoryCourse of(TrainConfig.Notes notes, int poolSize) {
        return new MemoryCourse(poolSize, notes);
    }

    /** Notes of a pool at first. */
    int denseCapacity() {
        return Math.max(poolSize, notes.dense());
    }

    /** What a forward pass draws its exploration from: another one for each batch of a run. */
    static long seed(long run, long batch) {
        return Draws.seed(run, batch);
    }

    /**
     * @param progress share of the run's steps that lie behind, in [0, 1]
     * @param length tokens of the sequences at this step (L)
     */
    public Stage at(double progress, int length) {
        double price = notes.price();
        if (progress < notes.denseUntil()) {
            return new Stage(denseCapacity(), true, 1, 0, 0);
        }
        if (progress < SOFT_UNTIL) {
            double done = (progress - notes.denseUntil()) / (SOFT_UNTIL - notes.denseUntil());
            return new Stage(denseCapacity(), false, between(1, LEAST_SOFT_SHARE, done), price, 0);
        }
        double perPlace = progress < EXPLORING_UNTIL ? notes.share() : notes.finalShare();
        double free = Math.min(1, perPlace * poolSize / length);
        if (progress < SHRINKING_UNTIL) {
            double done = (progress - SOFT_UNTIL) / (SHRINKING_UNTIL - SOFT_UNTIL);
            int capacity = (int) Math.round(between(denseCapacity(), poolSize, done));
            return new Stage(capacity, false, free, price, 0);
        }
        double exploration = progress < EXPLORING_UNTIL ? Math.min(1, notes.exploration() * poolSize / length) : 0;
        return new Stage(poolSize, false, free, price, exploration);
    }

    /** From {@code from} to {@code to}, straight in the logarithm. */
    private static double between(double from, double to, double done) {
        return from * Math.pow(to / from, done);
    }
}
