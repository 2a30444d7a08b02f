package org.mamba4j.torch.parallel;

import java.util.Arrays;
import java.util.Optional;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;

/**
 * What one rank computes of a training step.
 *
 * <p>A step is the mean of {@code accumulate} batches' losses, whatever the number of ranks. G = gcd(ranks, accumulate)
 * groups of ranks take every G-th batch each; the ranks of a group cut each of its batches into runs of rows. So ranks
 * share out whole batches as far as that goes, which keeps the matrix products large, and rows for the rest: with 2
 * ranks and one batch each gets half of the rows, with 2 ranks and two batches one batch.
 *
 * <p>Losses and gradients of the ranks add up to those of the whole batch. The loss of a batch with weights is a sum, so
 * its rows need nothing for that; that of a batch without is the mean over its targets, so rows cut from it get 1 / targets
 * of the whole for weights. As batches follow from their number, every rank can read a whole one and nothing about it has
 * to be sent.
 *
 * @param rank from 0
 * @param size ranks of the job
 * @param accumulate batches of a step
 */
public record WorkShare(int rank, int size, int accumulate) {
    /** All of the work. */
    public static WorkShare alone(int accumulate) {
        return new WorkShare(0, 1, accumulate);
    }

    /**
     * @param rows of a batch
     * @throws UserError if some rank would have nothing to do
     */
    public static void check(int size, int accumulate, int rows) {
        WorkShare first = new WorkShare(0, size, accumulate);
        if (first.slices() > rows) {
            throw new UserError(size + " ranks would cut a batch of " + rows + (rows == 1 ? " window" : " windows")
                    + " into " + first.slices() + ": give at most "
                    + "as many ranks as data.batch times optimiser.accumulate, or make these larger");
        }
    }

    private int groups() {
        int a = size;
        int b = accumulate;
        while (b != 0) {
            int rest = a % b;
            a = b;
            b = rest;
        }
        return a;
    }

    private int slices() {
        return size / groups();
    }

    /** How many batches of a step this rank works on. */
    public int count() {
        return accumulate / groups();
    }

    /**
     * The number of a batch.
     *
     * @param step from 0
     * @param i from 0 to {@link #count}
     */
    public long batch(int step, int i) {
        return (long) step * accumulate + (long) i * groups() + rank % groups();
    }

    /** This rank's part of a batch; empty where no row of it is this rank's. */
    Optional<Batch> part(Batch whole) {
        if (slices() == 1) {
            return Optional.of(whole);
        }
        int slice = rank / groups();
        int from = (int) ((long) whole.rows() * slice / slices());
        int to = (int) ((long) whole.rows() * (slice + 1) / slices());
        return from == to ? Optional.empty() : Optional.of(summed(whole).part(from, to));
    }

    /** The same batch, and the same loss, as a sum. */
    private static Batch summed(Batch whole) {
        if (whole.isWeighted()) {
            return whole;
        }
        float[] weights = new float[whole.targets().length];
        Arrays.fill(weights, 1f / weights.length);
        return Batch.weighted(whole.rows(), whole.inputs(), whole.targets(), weights);
    }

    /** This rank's part of batch {@link #batch batch(step, i)}; empty where no row of it is this rank's. */
    public Optional<Batch> part(BatchSource source, int step, int i) {
        return part(source.batch(batch(step, i)));
    }
}
