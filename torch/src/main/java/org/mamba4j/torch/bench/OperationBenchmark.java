package org.mamba4j.torch.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.SequencePasses;

/**
 * Measures the two passes of an operation on random inputs: checked against the reference first, then timed.
 *
 * <p>The reference gets the same inputs, all of them, or as many first steps as it can compute in acceptable memory and time.
 * Where inputs and results of a call would fit into the cache, several sets of them take turns.
 */
public abstract class OperationBenchmark {
    private static final int MOST_SETS = 8;
    private static final int MOST_CALLS = 10;

    /** A round of calls moves so much at least, so that it takes longer than the clock's grain. */
    private static final double ROUND_BYTES = 2e9;

    private final Machine machine;
    private final Precision precision;
    private final SequenceShape shape;

    OperationBenchmark(Machine machine, Precision precision, SequenceShape shape) {
        machine.check(precision);
        this.machine = machine;
        this.precision = precision;
        this.shape = shape;
    }

    final Machine machine() {
        return machine;
    }

    final ScalarType type() {
        return precision.type();
    }

    final SequenceShape shape() {
        return shape;
    }

    /** Inputs, and what computes on them. */
    interface Problem {
        /** On the first {@code steps} steps. */
        SequencePasses passes(int steps);

        /** On the first {@code steps} steps. */
        SequencePasses reference(int steps);

        /** Of the first {@code steps} steps, in the activations' type. */
        Tensor gradY(int steps);
    }

    /** Makes random inputs on the machine. */
    abstract Problem problem();

    /** Operation and shape. */
    abstract String work();

    /** What else the inputs are like. */
    abstract String note();

    abstract PassResult.Cost cost(Pass pass);

    /** What the inputs are called, in their order; a + behind it where the gradient is a sum over steps. */
    abstract List<String> inputs();

    /** Bytes of one set of inputs, results and workspaces, about. */
    abstract double bytesOfASet();

    /** Bytes that the reference needs for so many steps. */
    abstract double bytesOfReference(int steps);

    /**
     * Checks and measures.
     *
     * @param passes in the order of the results; backward is always checked with forward
     * @param repeats of which the median is taken, at least 1
     * @throws WrongAnswerException if the reference says otherwise
     * @throws UserError if there is not memory enough, or an argument makes no sense
     */
    public final List<PassResult> run(List<Pass> passes, int repeats) {
        if (repeats < 1) {
            throw new UserError("--repeats " + repeats + ": at least 1");
        }
        Supplier<List<PassResult>> work = () -> measure(passes, repeats);
        try {
            return TensorScope.call(work);
        } catch (RuntimeException e) {
            throw Torch.translate("bench " + work(), e);
        }
    }

    private List<PassResult> measure(List<Pass> passes, int repeats) {
        machine.require(work(), bytesOfASet());
        torch.manual_seed(1);
        double each = cost(Pass.FORWARD).bytes();
        int count = (int) Math.max(1, Math.min(MOST_SETS, Math.ceil(2.0 * machine.cacheBytes() / each)));
        List<Problem> problems = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            problems.add(problem());
        }
        Agreement agreement = check(problems.getFirst());
        List<SequencePasses> sets =
                problems.stream().map(problem -> problem.passes(shape.length())).toList();
        List<Tensor> gradients =
                problems.stream().map(problem -> problem.gradY(shape.length())).toList();
        int calls = (int) Math.max(count, Math.max(2, Math.min(MOST_CALLS, Math.ceil(ROUND_BYTES / each))));
        sets.forEach(SequencePasses::forward); // backward starts from what this keeps
        List<PassResult> results = new ArrayList<>();
        for (Pass pass : passes) {
            Runnable round = () -> TensorScope.run(() -> {
                for (int call = 0; call < calls; call++) {
                    SequencePasses set = sets.get(call % count);
                    switch (pass) {
                        case FORWARD -> set.forward();
                        case BACKWARD -> set.backward(gradients.get(call % count));
                    }
                }
            });
            Timing timing = machine.time(round, calls, repeats);
            results.add(new PassResult(work(), note(), pass, precision.key(), timing, cost(pass), agreement));
        }
        return results;
    }

    private Agreement check(Problem problem) {
        return TensorScope.call(() -> {
            int steps = shape.length();
            while (steps > 1 && bytesOfReference(steps) > machine.referenceBytes()) {
                steps = Math.ceilDiv(steps, 2);
            }
            Agreement.Check check = new Agreement.Check(work(), precision);
            SequencePasses actual = problem.passes(steps);
            SequencePasses expected = problem.reference(steps);
            check.output(actual.forward(), expected.forward());
            Tensor gradY = problem.gradY(steps);
            List<Tensor> got = actual.backward(gradY);
            List<Tensor> wanted = expected.backward(gradY.to(ScalarType.Float));
            for (int i = 0; i < got.size(); i++) {
                if (got.get(i).defined()) {
                    String name = inputs().get(i);
                    check.gradient(name.replace("+", ""), got.get(i), wanted.get(i), name.endsWith("+"));
                }
            }
            return check.after(steps);
        });
    }
}
