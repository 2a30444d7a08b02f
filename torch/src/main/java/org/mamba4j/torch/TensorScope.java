package org.mamba4j.torch;

import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Owns every native object that its thread creates while it is open, and frees them when it closes.
 *
 * <p>libtorch's objects (tensors, but also every {@code Scalar}, {@code TensorOptions} and vector) look weightless to the
 * garbage collector: a Java handle of some 60 bytes may hold gigabytes. So memory is never left to it. The rule is one
 * scope per training step and one per generate call. Scopes nest, belong to the thread that opened them and close in
 * reverse order:
 *
 * <pre>{@code
 * try (TensorScope step = new TensorScope()) {
 *     Tensor loss = model.loss(inputs, targets);
 *     loss.backward();
 *     ...
 * }   // loss, the graph and all temporaries are gone
 * }</pre>
 *
 * <p>A tensor leaves a scope only by name: {@link #promote} hands it to the enclosing scope, {@link #release} to the
 * caller, who must close it. Objects freed within the scope by their own {@code close()} are not freed twice.
 *
 * <p>Within a long computation, {@link #temporaries()} opens a lesser scope that frees early the handles of what only the
 * graph still needs, for example after each layer; what a graph needs of Java (hooks, saved tensors) goes past it to the
 * scope around it, so backward may run after it has closed.
 */
public final class TensorScope implements AutoCloseable {
    static {
        Torch.load();
    }

    private static final ThreadLocal<@Nullable TensorScope> INNERMOST = new ThreadLocal<>();

    private final PointerScope pointers = new PointerScope();
    private final @Nullable TensorScope enclosing = INNERMOST.get();
    private final boolean ownsGraphs;

    /** Opens a scope; from now on this thread's native objects belong to it. */
    public TensorScope() {
        this(true);
    }

    private TensorScope(boolean ownsGraphs) {
        this.ownsGraphs = ownsGraphs;
        INNERMOST.set(this);
    }

    /** Opens a scope for temporaries within a computation whose graph outlives it. */
    public static TensorScope temporaries() {
        return new TensorScope(false);
    }

    /** Runs {@code body} in a scope of its own; nothing native leaves it. */
    public static void run(Runnable body) {
        TensorScope scope = new TensorScope();
        try {
            body.run();
        } finally {
            scope.close();
        }
    }

    /**
     * Computes something that is not native in a scope of its own.
     *
     * @return what {@code body} returns
     */
    public static <T> T call(Supplier<T> body) {
        TensorScope scope = new TensorScope();
        try {
            return body.get();
        } finally {
            scope.close();
        }
    }

    /**
     * Moves {@code object} to the scope around this one; if there is none, to the caller.
     *
     * @return {@code object}
     */
    public <T extends Pointer> T promote(T object) {
        if (enclosing == null) {
            return release(object);
        }
        enclosing.pointers.attach(object);
        return object;
    }

    /**
     * Takes {@code object} out of this and every enclosing scope: the caller owns it and must close it. A tensor that
     * carries a graph may not leave, since the graph's own tensors stay behind: detach it first.
     *
     * @return {@code object}
     */
    public <T extends Pointer> T release(T object) {
        if (object instanceof Tensor tensor && tensor.defined() && tensor.requires_grad() && !tensor.is_leaf()) {
            throw new IllegalArgumentException("a tensor that carries a graph cannot leave its scope: detach it first");
        }
        object.retainReference();
        return object;
    }

    /** Hands {@code object} to the scope that owns the graphs built now; if there is none, to the garbage collector. */
    public static <T extends Pointer> T giveToGraph(T object) {
        TensorScope scope = INNERMOST.get();
        while (scope != null && !scope.ownsGraphs) {
            scope = scope.enclosing;
        }
        if (scope == null) {
            object.retainReference();
        } else {
            scope.pointers.attach(object);
        }
        return object;
    }

    /** Native objects that are alive in this process because a Java handle holds them; for tests. */
    public static long liveObjects() {
        return Pointer.totalCount();
    }

    /** @throws IllegalStateException if a scope opened later is still open, or on another thread */
    @Override
    public void close() {
        if (INNERMOST.get() != this) {
            throw new IllegalStateException("scopes close in reverse order, on the thread that opened them");
        }
        if (enclosing == null) {
            INNERMOST.remove();
        } else {
            INNERMOST.set(enclosing);
        }
        pointers.close();
    }
}
