package org.mamba4j.torch.decode;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.inference.State;
import org.mamba4j.inference.StateFile;
import org.mamba4j.inference.StateSnapshot;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.TensorFiles;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** What a {@link CudaLanguageModel} remembers of one sequence. */
final class CudaState implements State {
    private final MambaConfig config;
    private final String fingerprint;
    private final String device;
    private final DecodeState content;
    private long tokensSeen;

    /** A state that has seen nothing. */
    CudaState(MambaConfig config, String fingerprint, String device) {
        this.config = config;
        this.fingerprint = fingerprint;
        this.device = device;
        Devices.use(device);
        this.content = DecodeState.zeros(config, device, 1);
    }

    /** Whether the model with these weights made it. */
    boolean isOf(String otherFingerprint, String otherDevice) {
        return fingerprint.equals(otherFingerprint) && device.equals(otherDevice);
    }

    DecodeState content() {
        return content;
    }

    void read(long tokens) {
        tokensSeen += tokens;
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
    public CudaState copy() {
        CudaState copy = new CudaState(config, fingerprint, device);
        copy.content.copyFrom(content);
        copy.tokensSeen = tokensSeen;
        return copy;
    }

    @Override
    public void reset() {
        content.reset();
        tokensSeen = 0;
    }

    @Override
    public void save(Path file) {
        SequencedMap<String, float[]> values = new LinkedHashMap<>();
        tensors((name, tensor) -> values.put(name, Tensors.toFloats(tensor)));
        StateFile.write(file, config, fingerprint, new StateSnapshot(tokensSeen, values));
    }

    /** Takes over what {@link #save} of any engine wrote. */
    void load(Path file) {
        StateSnapshot snapshot = StateFile.read(file, config, fingerprint);
        tensors((name, tensor) -> TensorFiles.fill(tensor, DType.F32, MemorySegment.ofArray(snapshot.tensor(name))));
        tokensSeen = snapshot.tokensSeen();
    }

    /** Shows all content under the names of {@link MambaConfig#stateTensors()}. */
    private void tensors(BiConsumer<String, Tensor> consumer) {
        TensorScope.run(() -> {
            for (int i = 0; i < config.nLayer(); i++) {
                consumer.accept("layers." + i + ".conv", content.conv().select(0, i));
                consumer.accept("layers." + i + ".ssm", content.h().select(0, i));
            }
            consumer.accept("last_hidden", content.hidden());
        });
    }

    @Override
    public void close() {
        content.close();
    }
}
