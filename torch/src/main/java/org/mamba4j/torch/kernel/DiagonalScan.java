package org.mamba4j.torch.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.ComplexTensors;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * The selective scan with all that {@link SelectiveScan} leaves out: A may be complex, as the Mamba paper's audio models have it, and B
 * and C may be those of the channel instead of the token's, as its ablations have it. On an NVIDIA GPU in float32 by {@link CudaDiagonalScan};
 * else out of libtorch's operations, on any device, float32 or float64, which is what is described here.
 *
 * <pre>
 * h(t) = exp(Δ(t) A) h(t - 1) + Δ(t) B(t) u(t)          y(t) = Σ C(t) h(t), or 2 Re Σ C(t) h(t) where A is complex
 * </pre>
 *
 * <p>A complex mode stands for itself and its conjugate, so that M modes are N = 2 M real numbers of state, and the sum over both
 * is twice the real part, as in S4 and S4D. B and C are complex then too.
 *
 * <p>The recurrence is cut twice. A segment is as long as memory allows, since a (B, S, D, M) tensor is made of it; segments follow one another. Within, √S
 * chunks are scanned side by side, step by step, as if each started from nothing; then only the chunks' ends are a recurrence; and
 * what entered a chunk is added to all its steps, decayed. All exponents are sums of steps in order times A, so none overflows, and the work is O(S).
 *
 * <p>Backward, the gradient of the state is a scan of the same kind from the end to the beginning, with conjugate decays. Only the states
 * at the segments' beginnings are kept from the forward pass; the others are computed once more.
 *
 * <p>Shapes: B batch, L length, S segment, C chunks of Q steps, D channels, M modes, N numbers of state: M, or 2 M with real and
 * imaginary parts in turn.
 *
 * <p>References: A. Gu, T. Dao: Mamba, arXiv 2312.00752, sections 3.2, 4.4; G. E. Blelloch: Prefix Sums and Their Applications, 1990.
 */
public final class DiagonalScan {
    /** Numbers of state of all steps of a segment. */
    private static final long STATES_AT_ONCE = 1 << 21;

    private static final long STATES_AT_ONCE_ON_A_GPU = 1 << 25;

    private DiagonalScan() {}

    /**
     * What a scan reads; all tensors of one type and device.
     *
     * @param u (B, L, D)
     * @param delta positive steps (B, L, D)
     * @param rate real part of A, negative (D, M)
     * @param frequency imaginary part of A (D, M); absent where A is real
     * @param b of each step (B, L, N) or of each channel (D, N)
     * @param c likewise
     * @param start state before the first step (B, D, N); absent for zeros
     */
    public record Inputs(Tensor u, Tensor delta, Tensor rate, Tensor frequency, Tensor b, Tensor c, Tensor start) {
        /** @throws IllegalArgumentException if a shape does not fit, naming the tensor and both */
        public Inputs {
            Tensors.checkShape("u", u, -1, -1, -1);
            long batch = u.size(0);
            long length = u.size(1);
            long channels = u.size(2);
            Tensors.checkShape("delta", delta, batch, length, channels);
            Tensors.checkShape("rate", rate, channels, -1);
            long states = rate.size(1) * (frequency.defined() ? 2 : 1);
            ScanInputs.checkOptional("frequency", frequency, channels, rate.size(1));
            checkMatrix("b", b, batch, length, channels, states);
            checkMatrix("c", c, batch, length, channels, states);
            ScanInputs.checkOptional("start", start, batch, channels, states);
        }

        private static void checkMatrix(String what, Tensor x, long batch, long length, long channels, long states) {
            if (x.dim() == 2) {
                Tensors.checkShape(what, x, channels, states);
            } else {
                Tensors.checkShape(what, x, batch, length, states);
            }
        }

        List<Tensor> list() {
            return List.of(u, delta, rate, frequency, b, c, start);
        }

        /** Each tensor replaced by what {@code change} makes of it; absent ones are given too. */
        Inputs map(UnaryOperator<Tensor> change) {
            return new Inputs(
                    change.apply(u),
                    change.apply(delta),
                    change.apply(rate),
                    change.apply(frequency),
                    change.apply(b),
                    change.apply(c),
                    change.apply(start));
        }

        boolean isComplex() {
            return frequency.defined();
        }

        /** N */
        long states() {
            return rate.size(1) * (isComplex() ? 2 : 1);
        }

        private long segment() {
            long perStep = Math.max(1, u.size(0) * u.size(2) * states());
            long most = u.is_cuda() ? STATES_AT_ONCE_ON_A_GPU : STATES_AT_ONCE;
            return Math.clamp(most / perStep, 1, Math.max(1, u.size(1)));
        }
    }

    /**
     * The scan; every input has a gradient, the returned state has none.
     *
     * @return y (B, L, D) and the state after the last step (B, D, N)
     */
    public static SequenceOutput apply(Inputs in) {
        return isFused(in) ? CudaDiagonalScan.apply(in) : composed(in);
    }

    /** Whether kernels of our own compute {@code in}: float32 on a GPU, up to 64 modes. */
    public static boolean isFused(Inputs in) {
        return CudaDiagonalScan.takes(in);
    }

    /** The scan by libtorch's operations, on any device. */
    static SequenceOutput composed(Inputs in) {
        return apply(in, in.segment());
    }

    /** @param segment steps that are held in memory at once */
    static SequenceOutput apply(Inputs in, long segment) {
        Inputs saved = in.map(CustomGradient::save);
        List<Tensor> starts = new ArrayList<>();
        List<Tensor> ys = new ArrayList<>();
        Tensor last = plainStart(saved); // (B, D, M)
        try (TensorScope scope = TensorScope.temporaries()) {
            Tensor state = last;
            for (long from = 0; from < in.u().size(1); from += segment) {
                starts.add(TensorScope.giveToGraph(state));
                Steps steps = new Steps(saved, from, Math.min(segment, in.u().size(1) - from));
                Tensor states = steps.states(state); // (B, S, D, M)
                ys.add(scope.promote(steps.read(states)));
                state = states.select(1, states.size(1) - 1).contiguous();
            }
            last = scope.promote(numbers(state).clone());
        }
        Tensor y = ys.isEmpty()
                ? Tensors.emptyLike(in.u())
                : torch.cat(new TensorVector(ys.toArray(Tensor[]::new)), 1).contiguous();
        CustomGradient.apply(y, in.list(), (gradY, gradients) -> backward(saved, segment, starts, gradY, gradients));
        return new SequenceOutput(y, last);
    }

    /** The state before the first step, complex where A is: (B, D, M). */
    private static Tensor plainStart(Inputs in) {
        Tensor start = in.start().defined()
                ? in.start()
                : Tensors.emptyLike(
                                in.u(),
                                in.u().scalar_type().intern(),
                                in.u().size(0),
                                in.u().size(2),
                                in.states())
                        .zero_();
        return modes(start, in.isComplex());
    }

    /** Numbers of state as complex ones, where they are: (…, N) → (…, M). */
    private static Tensor modes(Tensor x, boolean complex) {
        return complex ? ComplexTensors.ofPairs(x) : x;
    }

    /** The inverse: (…, M) → (…, N). */
    private static Tensor numbers(Tensor x) {
        return x.is_complex() ? ComplexTensors.toPairs(x) : x;
    }

    /**
     * h(t) = exp(Δ(t) A) h(t - 1) + e(t), from {@code start} on.
     *
     * @param delta (B, S, D)
     * @param a (D, M)
     * @param entering e (B, S, D, M)
     * @param start (B, D, M)
     * @return h (B, S, D, M)
     */
    private static Tensor scan(Tensor delta, Tensor a, Tensor entering, Tensor start) {
        long length = delta.size(1);
        long steps = (long) Math.ceil(Math.sqrt((double) length)); // Q
        long chunks = Math.ceilDiv(length, steps); // C
        long padding = chunks * steps - length; // steps of no length, where nothing happens
        Tensor dt = pad(delta, padding, 1).unflatten(1, chunks, steps).unsqueeze(4); // (B, C, Q, D, 1)
        TensorVector enters =
                pad(entering, padding, 2).unflatten(1, chunks, steps).unbind(2); // Q × (B, C, D, M)
        TensorVector decays = dt.mul(a).exp().unbind(2); // Q × (B, C, D, M)
        TensorVector states = new TensorVector();
        Tensor h = enters.get(0);
        states.push_back(h);
        for (long q = 1; q < steps; q++) {
            h = torch.addcmul(enters.get(q), decays.get(q), h);
            states.push_back(h);
        }
        Tensor ends = h; // (B, C, D, M)
        Tensor since = dt.cumsum(2).mul(a).exp(); // (B, C, Q, D, M): decay since the chunk's beginning
        Tensor whole = since.select(2, steps - 1); // (B, C, D, M)
        TensorVector befores = new TensorVector();
        Tensor before = start; // (B, D, M)
        for (long i = 0; i < chunks; i++) {
            befores.push_back(before);
            before = torch.addcmul(ends.select(1, i), whole.select(1, i), before);
        }
        Tensor entered = torch.stack(befores, 1).unsqueeze(2); // (B, C, 1, D, M)
        return torch.addcmul(torch.stack(states, 2), since, entered)
                .flatten(1, 2)
                .narrow(1, 0, length);
    }

    /** Zeros after the last step; {@code after} dimensions follow that of the steps. */
    private static Tensor pad(Tensor x, long steps, int after) {
        if (steps == 0) {
            return x;
        }
        long[] pad = new long[2 * after + 2];
        pad[pad.length - 1] = steps;
        return torch.constant_pad_nd(x, pad);
    }

    /** One segment of the inputs. */
    private static final class Steps {
        private final boolean complex;
        private final Tensor u; // (B, S, D)
        private final Tensor delta; // (B, S, D)
        private final Tensor a; // (D, M)
        private final Tensor b; // (B, S, 1, M) or (D, M)
        private final Tensor c; // (B, S, 1, M) or (D, M)

        Steps(Inputs in, long from, long count) {
            complex = in.isComplex();
            u = in.u().narrow(1, from, count);
            delta = in.delta().narrow(1, from, count);
            a = complex ? ComplexTensors.of(in.rate(), in.frequency()) : in.rate();
            b = matrix(in.b(), from, count);
            c = matrix(in.c(), from, count);
        }

        private Tensor matrix(Tensor x, long from, long count) {
            return x.dim() == 2
                    ? modes(x, complex)
                    : modes(x.narrow(1, from, count), complex).unsqueeze(2);
        }

        /** What is written at each step: Δ u B, (B, S, D, M). */
        private Tensor entering() {
            return delta.mul(u).unsqueeze(3).mul(b);
        }

        /** @param start (B, D, M) */
        Tensor states(Tensor start) {
            return scan(delta, a, entering(), start);
        }

        private Scalar readings() {
            return new Scalar(complex ? 2.0 : 1.0);
        }

        /** (B, S, D, M) → (B, S, D). */
        Tensor read(Tensor states) {
            return torch.real(states.mul(c).sum(3)).mul(readings());
        }

        /**
         * Gradients of this segment.
         *
         * @param start the state before it (B, D, M)
         * @param gradY (B, S, D)
         * @param gradEnd of the state after it, by what follows (B, D, M)
         */
        Gradients gradients(Tensor start, Tensor gradY, Tensor gradEnd) {
            Tensor states = states(start); // (B, S, D, M)
            long count = delta.size(1);
            Tensor wide = gradY.mul(readings()).unsqueeze(3); // (B, S, D, 1)
            Tensor gradC = sumLike(c, wide.mul(states.conj()));

            // Of the state, from the last step to the first: the step before the last is decayed by the last one's Δ.
            Tensor late = torch.cat(
                    new TensorVector(
                            delta.narrow(1, 0, 1).mul(new Scalar(0.0)),
                            delta.narrow(1, 1, count - 1).flip(1)),
                    1); // (B, S, D)
            Tensor direct = wide.mul(c.conj()).flip(1); // (B, S, D, M)
            Tensor gradStates =
                    scan(late, a.conj().resolve_conj(), direct, gradEnd).flip(1); // (B, S, D, M)

            Tensor decays = delta.unsqueeze(3).mul(a).exp(); // (B, S, D, M)
            Tensor before = torch.cat(new TensorVector(start.unsqueeze(1), states.narrow(1, 0, count - 1)), 1);
            Tensor gradExponent = gradStates.mul(decays.mul(before).conj()); // (B, S, D, M), of Δ A
            Tensor gradWritten = torch.real(gradStates.mul(b.conj()).sum(3)); // (B, S, D), of Δ u
            Tensor gradDelta = torch.real(gradExponent.mul(a.conj()).sum(3)).add(gradWritten.mul(u)); // (B, S, D)
            Tensor gradA = gradExponent.mul(delta.unsqueeze(3)).sum(0, 1); // (D, M)
            Tensor gradB = sumLike(b, delta.mul(u).unsqueeze(3).mul(gradStates));
            Tensor gradStart = decays.select(1, 0).conj().mul(gradStates.select(1, 0)); // (B, D, M)
            return new Gradients(gradWritten.mul(delta), gradDelta, gradA, gradB, gradC, gradStart);
        }

        /** Sums over channels, or over batch and steps, as {@code matrix} has neither. */
        private static Tensor sumLike(Tensor matrix, Tensor each) {
            return matrix.dim() == 2 ? each.sum(0, 1) : each.sum(2);
        }
    }

    /** Complex where the inputs' modes are. */
    private record Gradients(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c, Tensor start) {}

    private static void backward(Inputs in, long segment, List<Tensor> starts, Tensor gradY, List<Tensor> gradients) {
        gradients.stream().filter(Tensor::defined).forEach(Tensor::zero_);
        Tensor gradEnd = starts.isEmpty() ? Tensors.absent() : starts.getFirst().mul(new Scalar(0.0)); // (B, D, M)
        for (int i = starts.size() - 1; i >= 0; i--) {
            try (TensorScope scope = new TensorScope()) {
                long from = i * segment;
                long count = Math.min(segment, in.u().size(1) - from);
                Gradients some =
                        new Steps(in, from, count).gradients(starts.get(i), gradY.narrow(1, from, count), gradEnd);
                add(gradients.get(0), from, some.u());
                add(gradients.get(1), from, some.delta());
                addWhole(gradients.get(2), torch.real(some.a()));
                if (in.isComplex()) {
                    addWhole(gradients.get(3), torch.imag(some.a().resolve_conj()));
                }
                add(gradients.get(4), from, numbers(some.b()));
                add(gradients.get(5), from, numbers(some.c()));
                gradEnd = scope.promote(some.start().resolve_conj().clone());
            }
        }
        if (gradEnd.defined()) {
            addWhole(gradients.get(6), numbers(gradEnd));
        }
    }

    private static void addWhole(Tensor gradient, Tensor part) {
        if (gradient.defined()) {
            gradient.add_(part);
        }
    }

    /** To the steps from {@code from} on, or, where the input has no steps, to all of it. */
    private static void add(Tensor gradient, long from, Tensor part) {
        if (gradient.defined()) {
            addWhole(gradient.dim() == 2 ? gradient : gradient.narrow(1, from, part.size(1)), part);
        }
    }
}
