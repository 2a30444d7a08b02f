package org.mamba4j.ssm;

/**
 * A discrete, linear, time-invariant state space: x(t) = Ā x(t - 1) + B̄ u(t), y(t) = C x(t) + D u(t), from x = 0.
 *
 * <p>It can be computed in two ways. {@link #apply} is the recurrent view: O(N²) work and N numbers of memory a token, one token
 * after another. Unrolled, y(t) = Σ_l C Āˡ B̄ u(t - l) + D u(t): a convolution with a {@link #kernel} that does not depend on
 * the input, which is the convolutional view, {@link #convolve}: all tokens at once, in O(L log L) by the fast Fourier
 * transform once the kernel is known. The second exists only because the system is linear and time-invariant; what a
 * selective system gives up is this.
 *
 * @param a Ā (N, N)
 * @param b B̄ (N, 1)
 * @param c (1, N)
 * @param d what of the input is in the output at once
 */
public record DiscreteSystem(Matrix a, Matrix b, Matrix c, double d) implements SequenceMap {
    /** The recurrent view. */
    @Override
    public double[] apply(double[] u) {
        double[] y = new double[u.length];
        Matrix x = Matrix.of(a.rows(), 1, (i, j) -> 0);
        for (int t = 0; t < u.length; t++) {
            x = a.times(x).plus(u[t], b);
            y[t] = c.times(x).get(0, 0) + d * u[t];
        }
        return y;
    }

    /** The impulse response without D: C Āˡ B̄ for l = 0 … {@code length} - 1. */
    public double[] kernel(int length) {
        double[] kernel = new double[length];
        Matrix x = b;
        for (int l = 0; l < length; l++) {
            kernel[l] = c.times(x).get(0, 0);
            x = a.times(x);
        }
        return kernel;
    }

    /** The convolutional view. */
    public double[] convolve(double[] u) {
        double[] y = Convolution.causal(u, kernel(u.length));
        for (int t = 0; t < u.length; t++) {
            y[t] += d * u[t];
        }
        return y;
    }
}
