package org.mamba4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

/**
 * Writes a Mamba as a GGUF file that llama.cpp runs.
 *
 * <p>Embedding, head and projections get the wanted type; what shapes the recurrence (A, D, the convolution, biases) and
 * norms are float32. Where rows are no whole number of blocks a matrix is half floats instead, and with 4 bits the
 * projections to and from the time step, B and C get 8, as {@link Quantiser} has it. What is of the wanted type already is
 * copied.
 */
public final class GgufExport {
    /** The key of the token that ends a text. */
    public static final String END_TOKEN = GgufMamba.EOS;

    private static final int QUANTIZATION_VERSION = 2;

    private GgufExport() {}

    /**
     * Writes {@code file}.
     *
     * @param from opened by {@link Checkpoint#openQuantised}
     * @param type of the matrices; none for what each has already
     * @param tokenizer keys of the tokenizer, as llama.cpp needs them
     * @throws UserError if llama.cpp does not run such a model, the file cannot be written, or a weight does not fit the
     *     type
     */
    public static void write(
            Checkpoint from, Path file, Optional<WeightFormat> type, SequencedMap<String, GgufValue> tokenizer) {
        MambaConfig config = requireKnown(from);
        List<GgufWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.parameters()) {
            tensors.add(tensor(from, spec, type));
            boolean convolution = spec.name().endsWith("conv1d.weight");
            if (convolution && !config.useConvBias()) {
                // Not optional there.
                Shape channels = Shape.of(config.dInner());
                String name = GgufMamba.tensor(spec.name().replace(".weight", ".bias"));
                tensors.add(floats(name, channels, new float[config.dInner()]));
            }
        }
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>();
        keys.put(GgufMamba.ARCHITECTURE, GgufValue.of(GgufMamba.MAMBA));
        keys.put("general.name", GgufValue.of(name(from.folder())));
        keys.put("general.file_type", GgufValue.of(fileType(tensors.getFirst().type())));
        keys.put("general.quantization_version", GgufValue.of(QUANTIZATION_VERSION));
        keys.putAll(GgufMamba.keys(config));
        keys.putAll(tokenizer);
        putToken(keys, GgufMamba.BOS, config.bosTokenId());
        putToken(keys, GgufMamba.EOS, config.eosTokenId());
        putToken(keys, GgufMamba.PAD, config.padTokenId());
        GgufWriter.write(file, keys, tensors);
    }

    private static String name(Path path) {
        Path name = path.toAbsolutePath().normalize().getFileName();
        return name == null ? GgufMamba.MAMBA : name.toString();
    }

    private static void putToken(Map<String, GgufValue> keys, String key, int token) {
        if (token != MambaConfig.NO_TOKEN) {
            keys.put(key, GgufValue.of(token));
        }
    }

    /**
     * The configuration of a model that llama.cpp runs.
     *
     * @throws UserError if it does not run {@code from}; says why
     */
    public static MambaConfig requireKnown(Checkpoint from) {
        String why;
        if (from.config() instanceof MemMambaConfig) {
            why = "is a MemMamba, for which GGUF has no architecture";
        } else if (!(from.config() instanceof MambaConfig config)) {
            why = "is a model of type " + from.config().modelType() + ", but only a Mamba is written as GGUF";
        } else if (config.useBias()) {
            why = "has biases of its projections (\"use_bias\"), which GGUF's Mamba has not";
        } else if (config.expand() != 2) {
            why = "has \"expand\" " + config.expand() + ", but llama.cpp runs 2 only";
        } else {
            return config;
        }
        throw new UserError(from.folder() + " " + why + ": keep the checkpoint folder, which this program runs;"
                + " \"quantize\" makes it smaller");
    }

    private static GgufWriter.Tensor tensor(Checkpoint from, TensorSpec spec, Optional<WeightFormat> type) {
        String name = spec.name();
        String theirs = GgufMamba.tensor(name);
        if (GgufMamba.isDecay(name)) {
            return new GgufWriter.Tensor(
                    theirs,
                    GgmlType.F32,
                    spec.shape(),
                    () -> from.decay(name).orElseGet(() -> negativeExponentials(from.floats(name))));
        }
        if (!Quantiser.isMatrix(spec)) {
            Shape shape = spec.shape().rank() == 3
                    ? Shape.of(spec.shape().size(0), spec.shape().size(2))
                    : spec.shape();
            return new GgufWriter.Tensor(
                    theirs,
                    GgmlType.F32,
                    shape,
                    () -> from.info(name).dtype() == DType.F32
                            ? from.data(name)
                            : MemorySegment.ofArray(from.floats(name)));
        }
        WeightFormat chosen = chosen(from, spec, type);
        return new GgufWriter.Tensor(theirs, GgmlType.of(chosen), spec.shape(), () -> matrix(from, spec, chosen));
    }

    private static WeightFormat chosen(Checkpoint from, TensorSpec spec, Optional<WeightFormat> type) {
        boolean wide = from.info(spec.name()).dtype() == DType.F64;
        WeightFormat stored = wide ? WeightFormat.F32 : from.format(spec.name());
        if (type.isEmpty()) {
            return stored;
        }
        WeightFormat wanted = Quantiser.refined(spec, type.get());
        return wanted.fits(spec.shape().size(1)) ? wanted : WeightFormat.F16;
    }

    private static MemorySegment matrix(Checkpoint from, TensorSpec spec, WeightFormat format) {
        String name = spec.name();
        if (from.info(name).dtype() != DType.F64 && from.format(name) == format) {
            return from.data(name);
        }
        if (format.isQuantised()) {
            return Quantiser.quantised(
                    from,
                    name,
                    format,
                    Shape.of(spec.shape().size(0), format.bytes(spec.shape().size(1))));
        }
        float[] values = from.floats(name);
        return switch (format) {
            case F32 -> MemorySegment.ofArray(values);
            case BF16 -> narrowed(from, name, values, DType.BF16);
            default -> narrowed(from, name, values, DType.F16);
        };
    }

    private static MemorySegment narrowed(Checkpoint from, String name, float[] values, DType type) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, type.bytes())]);
        type.fromFloats(values, 0, bytes, 0, values.length);
        for (int i = 0; i < values.length; i++) {
            if (Float.isInfinite(type.getFloat(bytes, i)) && !Float.isInfinite(values[i])) {
                throw new UserError(from.folder() + ": parameter \"" + name + "\" holds " + values[i] + ", more than "
                        + type + " can hold: take another type, best q8_0");
            }
        }
        return bytes;
    }

    /** As the recurrence takes it. */
    private static MemorySegment negativeExponentials(float[] logarithms) {
        for (int i = 0; i < logarithms.length; i++) {
            logarithms[i] = (float) -Math.exp(logarithms[i]);
        }
        return MemorySegment.ofArray(logarithms);
    }

    private static GgufWriter.Tensor floats(String name, Shape shape, float[] values) {
        return new GgufWriter.Tensor(name, GgmlType.F32, shape, () -> MemorySegment.ofArray(values));
    }

    /** What llama.cpp calls a file whose matrices are mostly of that type. */
    private static int fileType(GgmlType type) {
        return switch (type) {
            case F16 -> 1;
            case Q4_0 -> 2;
            case Q8_0 -> 7;
            case BF16 -> 32;
            default -> 0;
        };
    }
}
