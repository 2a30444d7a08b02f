package org.mamba4j.torch.nn;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.inference.State;
import org.mamba4j.inference.StateFile;
import org.mamba4j.inference.StateSnapshot;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;
import org.mamba4j.torch.TensorFiles;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * What a model remembers of one sequence, as tensors outside of every scope: for each layer what {@link
 * ModelConfig#stateTensors} lists, and the last output, from which the next token's logits are made; beside them the notes
 * of each layer that takes some.
 */
final class TorchState extends CommittedCarry implements State {
    private static final String LAST_HIDDEN = "last_hidden";

    private final ModelConfig config;
    private final String fingerprint;
    private final String device;
    private final SequencedMap<String, GrowingTensor> growing = new LinkedHashMap<>();
    private long wanted = Long.MAX_VALUE;

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
        List<TensorSpec> empty = plain(config).stateTensors(0);
        List<TensorSpec> fuller = plain(config).stateTensors(1);
        try (TensorScope scope = new TensorScope()) {
            for (int i = 0; i < empty.size(); i++) {
                TensorSpec spec = empty.get(i);
                if (spec.equals(fuller.get(i))) {
                    tensors.put(spec.name(), scope.release(zeros(spec)));
                } else {
                    growing.put(spec.name(), new GrowingTensor());
                }
            }
        }
    }

    /** The configuration whose state lies in tensors: a memory's notes do not. */
    private static ModelConfig plain(ModelConfig config) {
        return config instanceof MemMambaConfig memory ? memory.mamba() : config;
    }

    private Tensor zeros(TensorSpec spec) {
        long[] shape = LongStream.concat(
                        LongStream.of(1), LongStream.of(spec.shape().toArray()))
                .toArray();
        return Tensors.on(device, Tensors.zeros(shape));
    }

    private Tensor tensor(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException("a state of a " + config.modelType() + " has no " + name);
        }
        return tensor;
    }

    @Override
    public Tensor get(int layer, String part) {
        return tensor(name(layer, part));
    }

    @Override
    public Tensor append(int layer, String part, Tensor rows) {
        GrowingTensor tensor = growing.get(name(layer, part));
        if (tensor == null) {
            throw new IllegalArgumentException("a state of a " + config.modelType() + " has no " + name(layer, part));
        }
        return tensor.append(tokensSeen, rows);
    }

    /** What {@link #wanted} of the next forward pass is to be. */
    void expect(long tokens) {
        wanted = tokens;
    }

    @Override
    public long wanted(long length) {
        return Math.min(length, wanted);
    }

    /**
     * Ends a forward pass: what it handed over becomes the state.
     *
     * @param hidden its output (1, L, d)
     */
    void commit(Tensor hidden) {
        long length = hidden.size(1);
        TensorScope.run(() -> update(LAST_HIDDEN, hidden.select(1, length - 1).clone())); // (1, d)
        commit(length);
    }

    /** The output after the last token (1, d). */
    Tensor lastHidden() {
        return tensor(LAST_HIDDEN);
    }

    /** Whether the model with these weights made it. */
    boolean isOf(String otherFingerprint) {
        return fingerprint.equals(otherFingerprint);
    }

    @Override
    public String weights() {
        return fingerprint;
    }

    @Override
    public long sizeInBytes() {
        return config.stateBytes(tokensSeen);
    }

    @Override
    public TorchState copy() {
        TorchState copy = new TorchState(config, fingerprint, device);
        try {
            // In a scope: each of these calls returns a new handle.
            TensorScope.run(() -> {
                tensors.forEach((name, tensor) -> copy.tensor(name).copy_(tensor));
                growing.forEach((name, tensor) -> copy.growing.replace(name, tensor.copy(tokensSeen)));
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
        TensorScope.run(() -> tensors.values().forEach(Tensor::zero_));
        growing.values().forEach(GrowingTensor::close);
        notes.clear();
        tokensSeen = 0;
    }

    @Override
    public void save(Path file) {
        SequencedMap<String, float[]> values = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> values.put(name, Tensors.toFloats(tensor)));
        growing.forEach((name, tensor) -> values.put(name, tensor.toFloats(tokensSeen)));
        if (config instanceof MemMambaConfig memory) {
            values.putAll(new NotesFile(memory, tokensSeen).write(notes));
        }
        StateFile.write(file, config, fingerprint, new StateSnapshot(tokensSeen, values));
    }

    /** Takes over what {@link #save} wrote. */
    void load(Path file) {
        StateSnapshot snapshot = StateFile.read(file, config, fingerprint);
        tokensSeen = snapshot.tokensSeen();
        tensors.forEach(
                (name, tensor) -> TensorFiles.fill(tensor, DType.F32, MemorySegment.ofArray(snapshot.tensor(name))));
        for (TensorSpec spec : plain(config).stateTensors(tokensSeen)) {
            GrowingTensor tensor = growing.get(spec.name());
            if (tensor != null) {
                tensor.load(device, snapshot.tensor(spec.name()), spec.shape().toArray());
            }
        }
        if (config instanceof MemMambaConfig memory) {
            notes = new NotesFile(memory, tokensSeen).read(file, snapshot);
        }
    }

    @Override
    public void close() {
        super.close();
        growing.values().forEach(GrowingTensor::close);
    }
}
