package org.mamba4j.torch.nn;

import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import org.mamba4j.model.LayerParts;
import org.mamba4j.ssm.Complex;
import org.mamba4j.ssm.Hippo;

/**
 * The diagonal A at first, the same in every channel: -exp(A_log) + i A_imag, with M numbers per channel, n = 0 … M - 1. Complex ones stand
 * for themselves and their conjugates, so M is half the state's size N.
 *
 * <ul>
 *   <li>lin: -1/2 + πni, inv: -1/2 + i N/π (N / (2n + 1) - 1), legs: the eigenvalues of HiPPO-LegS without its low-rank
 *       part [1].
 *   <li>real: -(n + 1), what Mamba takes; half: -1/2; random: -exp of a normal ([2], table 8).
 * </ul>
 *
 * <p>References: [1] A. Gu, A. Gupta, K. Goel, C. Ré: On the Parameterization and Initialization of Diagonal State Space
 * Models, arXiv 2206.11893. [2] A. Gu, T. Dao: Mamba, arXiv 2312.00752.
 */
record StateMatrixInit(LayerParts layer) {
    private static final double COMPLEX_RATE = 0.5;

    /** Values of A_log, channel by channel. */
    DoubleSupplier logarithms(SplittableRandom random) {
        int modes = layer.modes();
        int[] next = {0};
        return switch (layer.aInit()) {
            case "real" -> () -> Math.log(next[0]++ % modes + 1);
            case "random" -> random::nextGaussian;
            default -> () -> Math.log(COMPLEX_RATE); // half too
        };
    }

    /** Values of S4's P, √2 of which are its B: real and imaginary parts in turn, channel by channel. */
    DoubleSupplier lowRank() {
        List<Complex> p = Hippo.normalForm(layer.dState()).p();
        int[] next = {0};
        return () -> {
            int at = next[0]++ % layer.dState();
            return at % 2 == 0 ? p.get(at / 2).re() : p.get(at / 2).im();
        };
    }

    /** Values of A_imag, channel by channel. */
    DoubleSupplier frequencies() {
        int modes = layer.modes();
        double n = layer.dState();
        int[] next = {0};
        return switch (layer.aInit()) {
            case "lin" -> () -> Math.PI * (next[0]++ % modes);
            case "inv" -> () -> n / Math.PI * (n / (2 * (next[0]++ % modes) + 1) - 1);
            default -> {
                List<Complex> legs = Hippo.normalForm(layer.dState()).lambda();
                yield () -> legs.get(next[0]++ % modes).im();
            }
        };
    }
}
