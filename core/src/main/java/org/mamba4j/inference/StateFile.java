package org.mamba4j.inference;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.zip.CRC32C;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;

/**
 * The layout of a saved state, which all engines share: a safetensors file with the tensors that {@link
 * ModelConfig#stateTensors(long)} lists, float32, and these texts as its metadata:
 *
 * <table>
 * <caption>metadata</caption>
 * <tr><td>{@code format}</td><td>{@value #FORMAT}</td></tr>
 * <tr><td>{@code version}</td><td>of this layout, {@value #VERSION}; a reader takes its own and older ones</td></tr>
 * <tr><td>{@code model_type}</td><td>the model's family</td></tr>
 * <tr><td>{@code model}</td><td>the model's {@link org.mamba4j.checkpoint.ModelFingerprint}: the numbers of a state mean
 *     something to the model that made them only</td></tr>
 * <tr><td>{@code tokens_seen}</td><td>tokens read since the state was new</td></tr>
 * <tr><td>{@code checksum}</td><td>CRC-32C, in hexadecimal, of {@code tokens_seen} as 8 bytes and of each tensor in the order
 *     of {@link ModelConfig#stateTensors(long)}, little-endian; files of version 1 have none</td></tr>
 * </table>
 *
 * <p>Of a Mamba, layer i has {@code layers.i.conv} (dInner, dConv - 1), the convolution's last inputs, oldest first,
 * zero before the first token; {@code layers.i.ssm} (dInner, dState), the recurrence's h; and the model {@code
 * last_hidden} (dModel), the last token's output of the final norm, of which the head makes the next logits.
 */
public final class StateFile {
    static final String FORMAT = "mamba4j-state";
    static final int VERSION = 2;

    /** Files of the versions from this one on say what their numbers add up to. */
    private static final int WITH_CHECKSUM = 2;

    /** Numbers that are brought to bytes at once. */
    private static final int CHECKED_AT_ONCE = 1 << 12;

    private StateFile() {}

    /**
     * Writes a state, atomically.
     *
     * @param config of the model that made it
     * @param fingerprint of the model that made it
     * @throws UserError if the file cannot be written, what stood there before is then unchanged; or if the state holds
     *     a NaN or an infinity
     * @throws IllegalArgumentException if the state is not one of {@code config}
     */
    public static void write(Path file, ModelConfig config, String fingerprint, StateSnapshot state) {
        state.requireFits(config);
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.stateTensors(state.tokensSeen())) {
            float[] values = state.tensor(spec.name());
            requireFinite(file, spec.name(), values);
            tensors.add(SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
        }
        Map<String, String> metadata = Map.of(
                "format", FORMAT,
                "version", Integer.toString(VERSION),
                "model_type", config.modelType(),
                "model", fingerprint,
                "tokens_seen", Long.toString(state.tokensSeen()),
                "checksum", checksum(config, state));
        SafetensorsWriter.write(file, metadata, tensors);
    }

    /**
     * Reads a state.
     *
     * @param config of the model that is to continue it
     * @param fingerprint of the model that is to continue it
     * @throws UserError if the file is missing, damaged, no state, of a newer version, of another model, of other
     *     shapes than {@code config} implies, or holds a NaN or an infinity
     */
    public static StateSnapshot read(Path path, ModelConfig config, String fingerprint) {
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            checkOrigin(file, config, fingerprint);
            long tokensSeen = number(file, "tokens_seen");
            checkNames(file, config);
            SequencedMap<String, float[]> tensors = new LinkedHashMap<>();
            for (TensorSpec spec : tensors(file, config, tokensSeen)) {
                file.requireShape(spec.name(), spec.shape());
                if (file.info(spec.name()).dtype() != DType.F32) {
                    throw new UserError(path + ": tensor " + JsonText.quoted(spec.name()) + " is "
                            + file.info(spec.name()).dtype() + ", but a state is F32");
                }
                float[] values = file.floats(spec.name());
                requireFinite(path, spec.name(), values);
                tensors.put(spec.name(), values);
            }
            StateSnapshot state = new StateSnapshot(tokensSeen, tensors);
            if (number(file, "version") >= WITH_CHECKSUM || file.metadata().containsKey("checksum")) {
                checkSum(file, checksum(config, state));
            }
            return state;
        }
    }

    private static void checkSum(SafetensorsFile file, String actual) {
        String written = text(file, "checksum");
        if (!written.equals(actual)) {
            throw new UserError(file.path() + " is damaged: its numbers have the checksum " + actual + ", not "
                    + JsonText.quoted(written) + " as when they were written");
        }
    }

    private static String checksum(ModelConfig config, StateSnapshot state) {
        CRC32C sum = new CRC32C();
        sum.update(bytes(Long.BYTES).putLong(state.tokensSeen()).flip());
        ByteBuffer part = bytes(CHECKED_AT_ONCE * Float.BYTES);
        for (TensorSpec spec : config.stateTensors(state.tokensSeen())) {
            float[] values = state.tensor(spec.name());
            for (int from = 0; from < values.length; from += CHECKED_AT_ONCE) {
                int count = Math.min(CHECKED_AT_ONCE, values.length - from);
                part.clear().asFloatBuffer().put(values, from, count);
                sum.update(part.limit(count * Float.BYTES));
            }
        }
        return HexFormat.of().toHexDigits((int) sum.getValue());
    }

    private static ByteBuffer bytes(int count) {
        return ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** What the file must hold; its number of tokens may be anything. */
    private static List<TensorSpec> tensors(SafetensorsFile file, ModelConfig config, long tokensSeen) {
        try {
            return config.stateTensors(tokensSeen);
        } catch (ArithmeticException e) {
            throw new UserError(
                    file.path() + ": the metadata's \"tokens_seen\" is " + tokensSeen + ", more than any state holds",
                    e);
        }
    }

    private static void checkOrigin(SafetensorsFile file, ModelConfig config, String fingerprint) {
        if (!FORMAT.equals(file.metadata().get("format"))) {
            throw new UserError(
                    file.path() + " is not a saved state: its metadata does not say \"format\": \"" + FORMAT + "\"");
        }
        long version = number(file, "version");
        if (version > VERSION) {
            throw new UserError(file.path() + " is a state of version " + version + ", newer than this program, which"
                    + " reads up to " + VERSION + ": update it");
        }
        String type = text(file, "model_type");
        if (!type.equals(config.modelType())) {
            throw new UserError(file.path() + " is a state of a model of type " + JsonText.quoted(type)
                    + ", but this one is \"" + config.modelType() + "\"");
        }
        String model = text(file, "model");
        if (!model.equals(fingerprint)) {
            throw new UserError(file.path() + " is a state of another model (" + JsonText.quoted(model)
                    + ", this one is \"" + fingerprint + "\"): continue it with the model that made it");
        }
    }

    private static void checkNames(SafetensorsFile file, ModelConfig config) {
        Set<String> unexpected = new HashSet<>(file.tensors().keySet());
        config.stateTensors().forEach(spec -> unexpected.remove(spec.name()));
        if (!unexpected.isEmpty()) {
            throw new UserError(file.path() + ": tensor "
                    + JsonText.quoted(unexpected.iterator().next()) + " is not part of this model's state");
        }
    }

    private static String text(SafetensorsFile file, String key) {
        String value = file.metadata().get(key);
        if (value == null) {
            throw new UserError(file.path() + ": the metadata lack \"" + key + "\"");
        }
        return value;
    }

    private static long number(SafetensorsFile file, String key) {
        String value = text(file, key);
        if (!value.matches("[0-9]{1,18}")) {
            throw new UserError(file.path() + ": the metadata's \"" + key + "\" is " + JsonText.quoted(value)
                    + ", but must be an integer from 0");
        }
        return Long.parseLong(value);
    }

    private static void requireFinite(Path file, String name, float[] values) {
        for (int i = 0; i < values.length; i++) {
            if (!Float.isFinite(values[i])) {
                throw new UserError(file + ": the state's tensor " + JsonText.quoted(name) + " holds " + values[i]
                        + " at element " + i + ": the model has diverged or the file is damaged");
            }
        }
    }
}
