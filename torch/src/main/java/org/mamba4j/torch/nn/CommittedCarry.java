package org.mamba4j.torch.nn;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.TensorScope;

/**
 * What is remembered from one forward pass to the next, as tensors outside of every scope. New content arrives layer by
 * layer during a pass and replaces the old at {@link #commit}, so a pass that fails changes nothing.
 */
abstract class CommittedCarry implements Carry, AutoCloseable {
    /** By name, each with its batch in front. */
    final SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();

    Map<Integer, LayerNotes> notes = new HashMap<>();
    long tokensSeen;
    private final Map<String, Tensor> pending = new HashMap<>();
    private final Map<Integer, LayerNotes> pendingNotes = new HashMap<>();

    static String name(int layer, String part) {
        return "layers." + layer + "." + part;
    }

    @Override
    public final boolean wantsState() {
        return true;
    }

    @Override
    public final void update(int layer, String part, Tensor value) {
        update(name(layer, part), value);
    }

    /** Takes over what {@code name} is after this pass. */
    final void update(String name, Tensor value) {
        try (TensorScope scope = TensorScope.temporaries()) {
            pending.put(name, scope.release(value));
        }
    }

    @Override
    public final LayerNotes notes(int layer) {
        return notes.getOrDefault(layer, LayerNotes.EMPTY);
    }

    @Override
    public final void updateNotes(int layer, LayerNotes next) {
        pendingNotes.put(layer, next);
    }

    @Override
    public final long tokensSeen() {
        return tokensSeen;
    }

    /** Ends a forward pass over {@code count} tokens: what it handed over is remembered from now on. */
    final void commit(long count) {
        pending.forEach((name, tensor) -> {
            Tensor old = tensors.put(name, tensor);
            if (old != null) {
                old.close();
            }
        });
        pending.clear();
        notes = new HashMap<>(pendingNotes);
        pendingNotes.clear();
        tokensSeen += count;
    }

    /** Ends a forward pass that failed. */
    final void rollBack() {
        pending.values().forEach(Tensor::close);
        pending.clear();
        pendingNotes.clear();
    }

    @Override
    public void close() {
        rollBack();
        tensors.values().forEach(Tensor::close);
    }
}
