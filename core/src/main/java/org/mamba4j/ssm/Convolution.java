package org.mamba4j.ssm;

/**
 * Causal convolution of a sequence with a kernel of its length, by the fast Fourier transform [1]: a product of transforms is
 * a transform of the convolution round a circle, and with as many zeros behind as there are numbers nothing comes round.
 *
 * <p>Reference: [1] J. W. Cooley, J. W. Tukey: An Algorithm for the Machine Calculation of Complex Fourier Series,
 * Mathematics of Computation 19, 1965.
 */
public final class Convolution {
    private Convolution() {}

    /**
     * y(t) = Σ_{s ≤ t} kernel(s) u(t - s), in O(L log L).
     *
     * @param u (L)
     * @param kernel (L)
     * @return (L)
     */
    public static double[] causal(double[] u, double[] kernel) {
        if (u.length != kernel.length) {
            throw new IllegalArgumentException(u.length + " inputs, but a kernel of " + kernel.length);
        }
        int size = 1;
        while (size < 2 * u.length) {
            size *= 2;
        }
        Complex[] one = transform(padded(u, size), false);
        Complex[] other = transform(padded(kernel, size), false);
        for (int k = 0; k < size; k++) {
            one[k] = one[k].times(other[k]).times(1.0 / size);
        }
        Complex[] product = transform(one, true);
        double[] y = new double[u.length];
        for (int t = 0; t < y.length; t++) {
            y[t] = product[t].re();
        }
        return y;
    }

    /** The same by its definition, in O(L²): the reference. */
    public static double[] causalBySums(double[] u, double[] kernel) {
        double[] y = new double[u.length];
        for (int t = 0; t < u.length; t++) {
            for (int s = 0; s <= t; s++) {
                y[t] += kernel[s] * u[t - s];
            }
        }
        return y;
    }

    private static Complex[] padded(double[] values, int size) {
        Complex[] all = new Complex[size];
        for (int i = 0; i < size; i++) {
            all[i] = i < values.length ? Complex.of(values[i]) : Complex.ZERO;
        }
        return all;
    }

    /** Σ x(t) exp(∓2πi k t / size), of a power of two numbers: those of even and of odd place apart, then together. */
    private static Complex[] transform(Complex[] x, boolean inverse) {
        int size = x.length;
        if (size == 1) {
            return x;
        }
        Complex[] even = new Complex[size / 2];
        Complex[] odd = new Complex[size / 2];
        for (int i = 0; i < size / 2; i++) {
            even[i] = x[2 * i];
            odd[i] = x[2 * i + 1];
        }
        even = transform(even, inverse);
        odd = transform(odd, inverse);
        Complex[] all = new Complex[size];
        for (int k = 0; k < size / 2; k++) {
            Complex turned = odd[k].times(Complex.unit((inverse ? 2 : -2) * Math.PI * k / size));
            all[k] = even[k].plus(turned);
            all[k + size / 2] = even[k].minus(turned);
        }
        return all;
    }
}
