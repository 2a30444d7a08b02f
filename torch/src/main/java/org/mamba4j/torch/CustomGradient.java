package org.mamba4j.torch;

import java.util.List;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorBase;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorTensorHook;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Gives an output that was computed outside libtorch a gradient of our own making.
 *
 * <p>libtorch's {@code autograd::Function} cannot be extended from Java, but hooks can be set on tensors. So the output
 * is joined to its inputs by a path through the graph that carries no value, and hooks on that path put the real
 * gradients in:
 *
 * <pre>
 *   input 1 ─ alias ─ sum ─ no elements of it ─┐
 *   input 2 ─ alias ─ sum ─ no elements of it ─┴─ concatenated ─ copied into no elements of the output ─ output
 * </pre>
 *
 * <p>Forward, nothing is added to the output, not even a zero: an infinity in an input cannot poison it. Backward, the
 * hook on the output receives its whole gradient (libtorch has added up all uses by then), computes those of all inputs
 * at once, and sends zeros down the path. They arrive at each alias as a zero of the input's shape without memory (the
 * gradient of a sum is an expanded scalar), and the hook there replaces them with the input's gradient. An input that
 * is used elsewhere, or given twice, gets the sum, as always.
 *
 * <p>Trade-offs: one read of each input forward and one write of zeros of the output's size backward (both small beside
 * a scan), and some ten small operations per input, 20–50 µs. Splitting the graph at each operation and running the
 * pieces backwards by hand needs neither, but forbids an input with two uses (a residual stream has two).
 *
 * <p>Ownership: hooks belong to the {@link TensorScope} around {@link #apply}, past any that is for temporaries,
 * and backward must run before it closes, on the same thread. Gradients already handed over are freed at the next hook.
 * Running backward twice ({@code retain_graph}) computes the gradients twice.
 */
public final class CustomGradient {
    private CustomGradient() {}

    /** Computes the gradients of one application. */
    @FunctionalInterface
    public interface Backward {
        /**
         * Called during backward, with gradients switched off, in a scope of its own.
         *
         * @param gradOutput gradient of the output, of its shape, any strides
         * @param gradients to be filled, in the order of the inputs: contiguous, of the input's shape, type and device, with
         *     arbitrary content; absent where none is wanted
         */
        void fill(Tensor gradOutput, List<Tensor> gradients);
    }

    /** Whether a gradient is wanted for any of {@code inputs}: if not, no hooks are needed. */
    public static boolean wanted(List<Tensor> inputs) {
        if (!GradMode.is_enabled()) {
            return false;
        }
        for (Tensor input : inputs) {
            if (wanted(input)) {
                return true;
            }
        }
        return false;
    }

    private static boolean wanted(Tensor input) {
        return input.defined() && input.requires_grad();
    }

    /** Keeps the content of {@code tensor} for the backward pass, without its graph, as long as the graph may run. */
    public static Tensor save(Tensor tensor) {
        return tensor.defined() ? TensorScope.giveToGraph(tensor.detach()) : tensor;
    }

    /**
     * Joins {@code output} to {@code inputs}.
     *
     * @param output contiguous, not a view and not part of a graph (computed from detached inputs); from now on
     *     it is, and must not be written to
     * @param inputs of any shapes; absent ones and those that need no gradient are skipped
     * @param backward computes the inputs' gradients from the output's
     * @return {@code output}
     */
    public static Tensor apply(Tensor output, List<Tensor> inputs, Backward backward) {
        if (!wanted(inputs)) {
            return output;
        }
        if (output.requires_grad()) {
            throw new IllegalArgumentException(
                    "the output is part of a graph already: compute it from detached inputs");
        }
        Application application = new Application(backward, output, inputs);
        TensorScope temporaries = TensorScope.temporaries();
        try {
            join(output, inputs, application);
        } finally {
            temporaries.close();
        }
        return output;
    }

    private static void join(Tensor output, List<Tensor> inputs, Application application) {
        TensorVector nothing = new TensorVector();
        for (int i = 0; i < inputs.size(); i++) {
            Tensor input = inputs.get(i);
            if (wanted(input)) {
                Tensor alias = input.alias();
                alias.register_hook(TensorScope.giveToGraph(new InputHook(application, i)));
                nothing.push_back(alias.sum().unsqueeze(0).narrow(0, 0, 0));
            }
        }
        output.view(-1).narrow(0, 0, 0).copy_(torch.cat(nothing));
        output.register_hook(TensorScope.giveToGraph(new OutputHook(application)));
    }

    /** Shape, element type and device of a tensor: what its gradient must have too. */
    private static final class Form {
        private final boolean wanted;
        private final long[] shape;
        private final TensorOptions options;

        private Form(Tensor tensor, boolean wanted) {
            this.wanted = wanted;
            this.shape = wanted ? tensor.shape() : new long[0];
            this.options = wanted ? TensorScope.giveToGraph(tensor.options()) : new TensorOptions();
        }

        Tensor empty() {
            return torch.empty(shape, options, new MemoryFormatOptional());
        }

        Tensor zerosWithoutMemory() {
            return torch.zeros(new long[] {1}, options).expand(shape);
        }
    }

    /** One use of a custom gradient: what its hooks share. */
    private static final class Application {
        /** Handed to libtorch by the last hook on this thread; it has its own reference by the time of the next. */
        private static final ThreadLocal<@Nullable Tensor> HANDED_OVER = new ThreadLocal<>();

        private final Backward backward;
        private final Form outputForm;
        private final List<Form> wantedForms;
        private List<Tensor> gradients = List.of();

        Application(Backward backward, Tensor output, List<Tensor> inputs) {
            this.backward = backward;
            this.outputForm = new Form(output, true);
            this.wantedForms =
                    inputs.stream().map(input -> new Form(input, wanted(input))).toList();
        }

        TensorBase onOutput(TensorBase gradOutput) {
            try (TensorScope scope = new TensorScope()) {
                gradients = wantedForms.stream()
                        .map(form -> form.wanted ? scope.promote(form.empty()) : Tensors.absent())
                        .toList();
                backward.fill(new Tensor(gradOutput), gradients);
                return handOver(scope.promote(outputForm.zerosWithoutMemory()));
            }
        }

        TensorBase onInput(int i) {
            return handOver(gradients.get(i));
        }

        private static Tensor handOver(Tensor tensor) {
            Tensor previous = HANDED_OVER.get();
            if (previous != null) {
                previous.close();
            }
            HANDED_OVER.set(tensor);
            return tensor;
        }
    }

    private static final class OutputHook extends TensorTensorHook {
        private final transient Application application;

        OutputHook(Application application) {
            this.application = application;
        }

        @Override
        public TensorBase call(TensorBase gradOutput) {
            return application.onOutput(gradOutput);
        }
    }

    private static final class InputHook extends TensorTensorHook {
        private final transient Application application;
        private final int input;

        InputHook(Application application, int input) {
            this.application = application;
            this.input = input;
        }

        @Override
        public TensorBase call(TensorBase zeros) {
            return application.onInput(input);
        }
    }
}
