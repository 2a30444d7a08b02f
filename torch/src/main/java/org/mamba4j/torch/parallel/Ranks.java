package org.mamba4j.torch.parallel;

import java.util.Collection;
import java.util.function.BooleanSupplier;
import org.mamba4j.torch.nn.Parameter;

/**
 * The processes of a job as one of them sees it. All methods that return what the others said must be called by all
 * ranks in the same order.
 *
 * <p>Every rank has the whole model and optimiser and reads the same text; each computes the gradient of its {@link
 * WorkShare} of a step, the gradients are added up ({@link GradientExchange}), and every rank then changes its weights in
 * the same way. The sums have the same bits on every rank, so the weights stay the same bits too, and never are sent.
 * Rank 0 alone writes files and talks to the user.
 */
public interface Ranks extends AutoCloseable {
    /** No other rank. */
    static Ranks alone() {
        return new Alone();
    }

    /**
     * Meets the other ranks; waits for all of them.
     *
     * @param device where gradients are: the CPU's are exchanged by Gloo, a GPU's by NCCL
     * @throws org.mamba4j.UserError if rank 0 cannot listen, or the others cannot be reached
     */
    static Ranks join(Placement placement, String device) {
        return Group.join(placement, device);
    }

    /** From 0. */
    int rank();

    /** How many there are. */
    int size();

    /** Whether this is the rank that writes files and talks to the user. */
    default boolean isFirst() {
        return rank() == 0;
    }

    /** Threads of this rank on a host whose processors may be used by that many. */
    int threads(int processors);

    /** Sums over all ranks, the same bits on each; takes the time of the slowest rank. */
    double[] sum(double... values);

    /**
     * What rank 0 says, however long that takes.
     *
     * @param text of rank 0; that of others is ignored
     */
    String fromFirst(String text);

    /** Who is asked at each {@link #sum} whether this rank should stop. */
    void watch(BooleanSupplier wish);

    /** Whether any rank was asked to stop before the last {@link #sum}: the same answer on all ranks. */
    boolean isAsked();

    /** Adds up the gradients of {@code parameters}; gives them gradients of zeros in memory of its own. */
    GradientExchange exchange(Collection<Parameter> parameters);

    /**
     * The work is done, here and, soon, at all other ranks, for which this waits: all that was recorded with exchanges in it is
     * closed, and only {@link #close} follows.
     */
    void finish();

    /** Leaves the other ranks, without a word: after {@link #finish}, or because something has failed. */
    @Override
    void close();
}
