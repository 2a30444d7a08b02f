package org.mamba4j.kernel;

/** A function of each element. */
public enum Activation {
    /** x / (1 + e^-x). */
    SILU {
        @Override
        public double of(double x) {
            return x * SIGMOID.of(x);
        }
    },
    /** 1 / (1 + e^-x). */
    SIGMOID {
        @Override
        public double of(double x) {
            return 1 / (1 + Math.exp(-x));
        }
    },
    /** Hyperbolic tangent. */
    TANH {
        @Override
        public double of(double x) {
            return Math.tanh(x);
        }
    };

    /** The function's definition. */
    public abstract double of(double x);
}
