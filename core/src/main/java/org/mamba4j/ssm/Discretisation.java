package org.mamba4j.ssm;

/**
 * How a continuous system becomes a discrete one that moves by a step Δ per token. Each rule is a statement about what happens
 * within a step:
 *
 * <ul>
 *   <li>{@link #ZERO_ORDER_HOLD}: the input stays what it is; then the step is solved exactly: Ā = exp(ΔA), B̄ = A⁻¹(exp(ΔA) - 1)B.
 *   <li>{@link #FORWARD_EULER}: the slope stays what it was: Ā = 1 + ΔA, B̄ = ΔB. First order; it grows without bound where
 *       |1 + Δλ| > 1, however much the system itself decays.
 *   <li>{@link #BACKWARD_EULER}: the slope is that of the end: Ā = (1 - ΔA)⁻¹, B̄ = ΔĀB. First order, and never unstable.
 *   <li>{@link #BILINEAR} (Tustin): the slope is the mean of both: Ā = (1 - ΔA/2)⁻¹(1 + ΔA/2), B̄ = (1 - ΔA/2)⁻¹ΔB. Second
 *       order; the left half plane goes onto the unit disc, so what is stable stays so. S4's [1].
 *   <li>{@link #EXPONENTIAL_EULER}: the state decays exactly, the input enters as in Euler's rule: Ā = exp(ΔA), B̄ = ΔB. What
 *       Mamba computes [2]: its text derives zero-order hold, its code takes the first term of B̄'s series.
 *   <li>{@link #DIRAC}: the input is an impulse at the end of the step, whose size does not depend on how long it was:
 *       Ā = exp(ΔA), B̄ = B. For events that come when they come.
 * </ul>
 *
 * <p>References: [1] A. Gu, K. Goel, C. Ré: Efficiently Modeling Long Sequences with Structured State Spaces, arXiv 2111.00396,
 * section 2.3. [2] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 2 and equation 4.
 */
public enum Discretisation {
    /** The input stays what it is within a step. */
    ZERO_ORDER_HOLD {
        @Override
        public DiscreteSystem of(ContinuousSystem system, double step) {
            // One exponential gives both, for singular A too: exp(Δ [A B; 0 0]) = [Ā B̄; 0 1].
            int n = system.a().rows();
            Matrix both =
                    Matrix.of(n + 1, n + 1, (i, j) -> entry(system, step, i, j)).exp();
            return discrete(system, both.part(0, n, 0, n), both.part(0, n, n, n + 1));
        }

        private static double entry(ContinuousSystem system, double step, int i, int j) {
            int n = system.a().rows();
            if (i == n) {
                return 0;
            }
            return step * (j == n ? system.b().get(i, 0) : system.a().get(i, j));
        }

        @Override
        public Mode of(Complex a, double step) {
            Complex z = a.times(step);
            return new Mode(z.exp(), z.expm1().over(a));
        }
    },

    /** The slope stays what it was at the beginning of the step. */
    FORWARD_EULER {
        @Override
        public DiscreteSystem of(ContinuousSystem system, double step) {
            return discrete(system, shifted(system, step), system.b().times(step));
        }

        @Override
        public Mode of(Complex a, double step) {
            return new Mode(Complex.ONE.plus(a.times(step)), Complex.of(step));
        }
    },

    /** The slope is that of the end of the step. */
    BACKWARD_EULER {
        @Override
        public DiscreteSystem of(ContinuousSystem system, double step) {
            Matrix below = shifted(system, -step);
            int n = system.a().rows();
            return discrete(
                    system,
                    below.solve(Matrix.identity(n)),
                    below.solve(system.b().times(step)));
        }

        @Override
        public Mode of(Complex a, double step) {
            Complex decay = Complex.ONE.over(Complex.ONE.minus(a.times(step)));
            return new Mode(decay, decay.times(step));
        }
    },

    /** The slope is the mean of those at both ends of the step. */
    BILINEAR {
        @Override
        public DiscreteSystem of(ContinuousSystem system, double step) {
            Matrix below = shifted(system, -step / 2);
            return discrete(
                    system,
                    below.solve(shifted(system, step / 2)),
                    below.solve(system.b().times(step)));
        }

        @Override
        public Mode of(Complex a, double step) {
            Complex half = a.times(step / 2);
            Complex below = Complex.ONE.minus(half);
            return new Mode(Complex.ONE.plus(half).over(below), Complex.of(step).over(below));
        }
    },

    /** The state decays exactly, the input enters as in Euler's rule. */
    EXPONENTIAL_EULER {
        @Override
        public DiscreteSystem of(ContinuousSystem system, double step) {
            return discrete(system, system.a().times(step).exp(), system.b().times(step));
        }

        @Override
        public Mode of(Complex a, double step) {
            return new Mode(a.times(step).exp(), Complex.of(step));
        }
    },

    /** The input is an impulse at the end of the step. */
    DIRAC {
        @Override
        public DiscreteSystem of(ContinuousSystem system, double step) {
            return discrete(system, system.a().times(step).exp(), system.b());
        }

        @Override
        public Mode of(Complex a, double step) {
            return new Mode(a.times(step).exp(), Complex.ONE);
        }
    };

    /**
     * One mode of a diagonal system in one step: h ← decay · h + input · B u.
     *
     * @param decay Ā
     * @param input B̄ / B
     */
    public record Mode(Complex decay, Complex input) {}

    /**
     * The discrete system of a step.
     *
     * @param step Δ, positive
     */
    public abstract DiscreteSystem of(ContinuousSystem system, double step);

    /**
     * The same of a single mode x' = a x + B u.
     *
     * @param a not 0
     * @param step Δ, positive
     */
    public abstract Mode of(Complex a, double step);

    private static Matrix shifted(ContinuousSystem system, double step) {
        return Matrix.identity(system.a().rows()).plus(step, system.a());
    }

    private static DiscreteSystem discrete(ContinuousSystem system, Matrix a, Matrix b) {
        return new DiscreteSystem(a, b, system.c(), system.d());
    }
}
