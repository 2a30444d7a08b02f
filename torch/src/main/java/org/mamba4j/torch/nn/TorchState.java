package org.mamba4j.torch.nn;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.inference.State;
import org.mamba4j.inference.StateFile;
import org.mamba4j.inference.StateSnapshot;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.TensorFiles;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * What a model remembers of one sequence, as tensors outside of every scope: for each layer the last inputs of its
 * convolution and its recurrent state, and the last output, from which the next token's logits are made; beside them the
 * notes of each layer that takes some. New content
 * arrives layer by layer during a forward pass and replaces the old at {@link #commit}, so a pass that fails changes
 * nothing.
 */
final class TorchState implements State, Carry {
    private final ModelConfig config;
    private final String fingerprint;
    private final String device;
    private List<Layer> layers = new ArrayList<>();
    private final List<Layer> pending = new ArrayList<>();
    private Map<Integer, LayerNotes> notes = new HashMap<>();
    private final Map<Integer, LayerNotes> pendingNotes = new HashMap<>();
    private Tensor lastHidden; // (1, 1, d)
    private long tokensSeen;

    /**
     * @param conv (1, D, K - 1)
     * @param ssm (1, D, N)
     */
    private record Layer(Tensor conv, Tensor ssm) {
        void close() {
            conv.close();
            ssm.close();
        }
    }

    /**
     * A state that has seen nothing.
     *
     * @param fingerprint of the model's weights
     * @param device of the model
     */
    TorchState(ModelConfig config, String fingerprint, String device) {
        this.config = config;
        this.fingerprint = fingerprint;
        this.device = device;
        MambaConfig mamba = config.mamba();
        try (TensorScope scope = new TensorScope()) {
            for (int i = 0; i < config.nLayer(); i++) {
                layers.add(new Layer(
                        scope.release(zeros(1, mamba.dInner(), mamba.dConv() - 1)),
                        scope.release(zeros(1, mamba.dInner(), mamba.dState()))));
            }
            lastHidden = scope.release(zeros(1, 1, config.dModel()));
        }
    }

    private Tensor zeros(long... shape) {
        return Tensors.on(device, Tensors.zeros(shape));
    }

    @Override
    public Tensor conv(int layer) {
        return layers.get(layer).conv();
    }

    @Override
    public Tensor ssm(int layer) {
        return layers.get(layer).ssm();
    }

    @Override
    public boolean wantsState() {
        return true;
    }

    @Override
    public void update(int layer, Tensor conv, Tensor ssm) {
        try (TensorScope scope = TensorScope.temporaries()) {
            pending.add(new Layer(scope.release(conv), scope.release(ssm)));
        }
    }

    @Override
    public LayerNotes notes(int layer) {
        return notes.getOrDefault(layer, LayerNotes.EMPTY);
    }

    @Override
    public void updateNotes(int layer, LayerNotes next) {
        pendingNotes.put(layer, next);
    }

    /**
     * Ends a forward pass: what it handed over becomes the state.
     *
     * @param hidden its output (1, L, d)
     */
    void commit(Tensor hidden) {
        long length = hidden.size(1);
        try (TensorScope scope = new TensorScope()) {
            Tensor last = scope.release(hidden.narrow(1, length - 1, 1).clone());
            lastHidden.close();
            lastHidden = last;
        }
        layers.forEach(Layer::close);
        layers = new ArrayList<>(pending);
        pending.clear();
        notes = new HashMap<>(pendingNotes);
        pendingNotes.clear();
        tokensSeen += length;
    }

    /** Ends a forward pass that failed. */
    void rollBack() {
        pending.forEach(Layer::close);
        pending.clear();
        pendingNotes.clear();
    }

    /** The output after the last token (1, 1, d). */
    Tensor lastHidden() {
        return lastHidden;
    }

    /** Whether the model with these weights made it. */
    boolean isOf(String otherFingerprint) {
        return fingerprint.equals(otherFingerprint);
    }

    @Override
    public long tokensSeen() {
        return tokensSeen;
    }

    @Override
    public long sizeInBytes() {
        return config.stateBytes();
    }

    @Override
    public TorchState copy() {
        TorchState copy = new TorchState(config, fingerprint, device);
        try {
            // In a scope: each of these calls returns a new handle.
            TensorScope.run(() -> {
                for (int i = 0; i < layers.size(); i++) {
                    copy.conv(i).copy_(conv(i));
                    copy.ssm(i).copy_(ssm(i));
                }
                copy.lastHidden.copy_(lastHidden);
            });
        } catch (RuntimeException e) {
            copy.close();
            throw e;
        }
        copy.notes = new HashMap<>(notes);
        copy.tokensSeen = tokensSeen;
        return copy;
    }

    @Override
    public void reset() {
        TensorScope.run(() -> {
            for (Layer layer : layers) {
                layer.conv().zero_();
                layer.ssm().zero_();
            }
            lastHidden.zero_();
        });
        notes.clear();
        tokensSeen = 0;
    }

    @Override
    public void save(Path file) {
        SequencedMap<String, float[]> values = new LinkedHashMap<>();
        tensors().forEach((name, tensor) -> values.put(name, Tensors.toFloats(tensor)));
        if (config instanceof MemMambaConfig memory) {
            values.putAll(new NotesFile(memory, tokensSeen).write(notes));
        }
        StateFile.write(file, config, fingerprint, new StateSnapshot(tokensSeen, values));
    }

    /** Takes over what {@link #save} wrote. */
    void load(Path file) {
        StateSnapshot snapshot = StateFile.read(file, config, fingerprint);
        tensors()
                .forEach((name, tensor) ->
                        TensorFiles.fill(tensor, DType.F32, MemorySegment.ofArray(snapshot.tensor(name))));
        tokensSeen = snapshot.tokensSeen();
        if (config instanceof MemMambaConfig memory) {
            notes = new NotesFile(memory, tokensSeen).read(file, snapshot);
        }
    }

    /** All content but the notes under the names of {@link ModelConfig#stateTensors()}. */
    private SequencedMap<String, Tensor> tensors() {
        SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
        for (int i = 0; i < layers.size(); i++) {
            tensors.put("layers." + i + ".conv", conv(i));
            tensors.put("layers." + i + ".ssm", ssm(i));
        }
        tensors.put("last_hidden", lastHidden);
        return tensors;
    }

    @Override
    public void close() {
        layers.forEach(Layer::close);
        lastHidden.close();
    }
}
