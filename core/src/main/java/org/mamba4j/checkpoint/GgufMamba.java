package org.mamba4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.Shape;

/**
 * A Mamba in a GGUF file, as llama.cpp's converter writes it: which key holds which field of the configuration, which
 * tensor is which parameter.
 *
 * <p>Two parameters differ in more than the name: {@code ssm_a} is A itself, -exp(A_log), as the recurrence uses it; and
 * {@code ssm_conv1d} has no dimension of size 1. A head that is the embedding is left out. The file says nothing about
 * training (initialisation, rescaling): such fields have their defaults.
 */
final class GgufMamba {
    static final String ARCHITECTURE = "general.architecture";
    static final String MAMBA = "mamba";

    static final String CONTEXT_LENGTH = "mamba.context_length";
    static final String EMBEDDING_LENGTH = "mamba.embedding_length";
    static final String FEED_FORWARD_LENGTH = "mamba.feed_forward_length";
    static final String HEAD_COUNT = "mamba.attention.head_count";
    static final String BLOCK_COUNT = "mamba.block_count";
    static final String CONV_KERNEL = "mamba.ssm.conv_kernel";
    static final String INNER_SIZE = "mamba.ssm.inner_size";
    static final String STATE_SIZE = "mamba.ssm.state_size";
    static final String TIME_STEP_RANK = "mamba.ssm.time_step_rank";
    static final String DT_B_C_RMS = "mamba.ssm.dt_b_c_rms";
    static final String NORM_EPSILON = "mamba.attention.layer_norm_rms_epsilon";
    static final String BOS = "tokenizer.ggml.bos_token_id";
    static final String EOS = "tokenizer.ggml.eos_token_id";
    static final String PAD = "tokenizer.ggml.padding_token_id";

    private static final String EMBEDDING = "token_embd.weight";
    private static final String HEAD = "output.weight";

    /** Suffixes of a layer's tensors: GGUF's, and the parameter's. */
    private static final Map<String, String> LAYER = Map.ofEntries(
            Map.entry("attn_norm.weight", "norm.weight"),
            Map.entry("ssm_in.weight", "mixer.in_proj.weight"),
            Map.entry("ssm_conv1d.weight", "mixer.conv1d.weight"),
            Map.entry("ssm_conv1d.bias", "mixer.conv1d.bias"),
            Map.entry("ssm_x.weight", "mixer.x_proj.weight"),
            Map.entry("ssm_dt.weight", "mixer.dt_proj.weight"),
            Map.entry("ssm_dt.bias", "mixer.dt_proj.bias"),
            Map.entry("ssm_a", "mixer.A_log"),
            Map.entry("ssm_d", "mixer.D"),
            Map.entry("ssm_out.weight", "mixer.out_proj.weight"));

    private static final Map<String, String> WHOLE = Map.of(
            EMBEDDING,
            "backbone.embeddings.weight",
            "output_norm.weight",
            "backbone.norm_f.weight",
            HEAD,
            "lm_head.weight");

    private static final String OUR_LAYERS = "backbone.layers.";
    private static final String THEIR_LAYERS = "blk.";

    private GgufMamba() {}

    /** The parameter that a tensor holds; the tensor's own name if it is none of a Mamba's. */
    static String parameter(String tensor) {
        if (tensor.startsWith(THEIR_LAYERS)) {
            int dot = tensor.indexOf('.', THEIR_LAYERS.length());
            String ours = dot < 0 ? null : LAYER.get(tensor.substring(dot + 1));
            return ours == null ? tensor : OUR_LAYERS + tensor.substring(THEIR_LAYERS.length(), dot + 1) + ours;
        }
        return WHOLE.getOrDefault(tensor, tensor);
    }

    /**
     * The tensor that holds a parameter.
     *
     * @throws IllegalArgumentException if the format has none
     */
    static String tensor(String parameter) {
        boolean layer = parameter.startsWith(OUR_LAYERS);
        int dot = layer ? parameter.indexOf('.', OUR_LAYERS.length()) : -1;
        String suffix = parameter.substring(dot + 1);
        return (layer ? LAYER : WHOLE)
                .entrySet().stream()
                        .filter(entry -> entry.getValue().equals(suffix))
                        .map(entry -> layer
                                ? THEIR_LAYERS + parameter.substring(OUR_LAYERS.length(), dot + 1) + entry.getKey()
                                : entry.getKey())
                        .findFirst()
                        .orElseThrow(() -> new IllegalArgumentException("GGUF has no tensor for " + parameter));
    }

    static boolean isDecay(String parameter) {
        return parameter.endsWith(".A_log");
    }

    /**
     * The configuration.
     *
     * @throws UserError if the file holds another architecture, or one that this project does not compute
     */
    static MambaConfig config(GgufFile file) {
        String architecture = file.text(ARCHITECTURE);
        if (!architecture.equals(MAMBA)) {
            throw new UserError(file.path() + " holds a model of the architecture " + JsonText.quoted(architecture)
                    + ", but only " + JsonText.quoted(MAMBA) + " is supported: give a Mamba model");
        }
        if (file.has(DT_B_C_RMS) && file.bool(DT_B_C_RMS)) {
            throw new UserError(file.path() + ": \"" + DT_B_C_RMS + "\" is true (a FalconMamba, which has norms that a"
                    + " Mamba has not), which is not supported: give a Mamba model");
        }
        int width = file.integer(EMBEDDING_LENGTH, 1, 1 << 16);
        int inner = file.integer(INNER_SIZE, 1, 1 << 22);
        if (inner % width != 0) {
            throw new UserError(file.path() + ": \"" + INNER_SIZE + "\" is " + inner + ", but must be a multiple of \""
                    + EMBEDDING_LENGTH + "\", " + width + ": the file is damaged");
        }
        GgufTensor embedding = file.tensors().get(EMBEDDING);
        if (embedding == null || embedding.shape().rank() != 2) {
            throw new UserError(file.path() + " has no matrix " + JsonText.quoted(EMBEDDING)
                    + ": the file is damaged, or of a part of a model only");
        }
        try {
            return MambaConfig.builder()
                    .vocabSize((int) Math.min(embedding.shape().size(0), Integer.MAX_VALUE))
                    .dModel(width)
                    .nLayer(file.integer(BLOCK_COUNT, 1, Integer.MAX_VALUE))
                    .dState(file.integer(STATE_SIZE, 1, Integer.MAX_VALUE))
                    .dConv(file.integer(CONV_KERNEL, 1, Integer.MAX_VALUE))
                    .expand(inner / width)
                    .dtRank(file.integer(TIME_STEP_RANK, 1, Integer.MAX_VALUE))
                    .normEpsilon(file.real(NORM_EPSILON))
                    .useConvBias(file.tensors().containsKey("blk.0.ssm_conv1d.bias"))
                    .tieEmbeddings(!file.tensors().containsKey(HEAD))
                    .bosTokenId(token(file, BOS))
                    .eosTokenId(token(file, EOS))
                    .padTokenId(token(file, PAD))
                    .build();
        } catch (UserError e) {
            String message = String.valueOf(e.getMessage());
            throw message.startsWith(file.path().toString()) ? e : new UserError(file.path() + ": " + message, e);
        }
    }

    private static int token(GgufFile file, String key) {
        return file.has(key) ? file.integer(key, 0, Integer.MAX_VALUE) : MambaConfig.NO_TOKEN;
    }

    /** The keys that say what {@link #config} reads, and those that llama.cpp wants besides. */
    static SequencedMap<String, GgufValue> keys(MambaConfig config) {
        SequencedMap<String, GgufValue> keys = new LinkedHashMap<>();
        // A Mamba has no greatest length; readers take this one unless they are told.
        keys.put(CONTEXT_LENGTH, GgufValue.of(1 << 20));
        keys.put(EMBEDDING_LENGTH, GgufValue.of(config.dModel()));
        keys.put(FEED_FORWARD_LENGTH, GgufValue.of(0));
        keys.put(HEAD_COUNT, GgufValue.of(0));
        keys.put(BLOCK_COUNT, GgufValue.of(config.nLayer()));
        keys.put(CONV_KERNEL, GgufValue.of(config.dConv()));
        keys.put(INNER_SIZE, GgufValue.of(config.dInner()));
        keys.put(STATE_SIZE, GgufValue.of(config.dState()));
        keys.put(TIME_STEP_RANK, GgufValue.of(config.dtRank()));
        keys.put(NORM_EPSILON, GgufValue.of((float) config.normEpsilon()));
        keys.put(DT_B_C_RMS, GgufValue.of(false));
        return keys;
    }

    /** A file's tensors by the names of their parameters. */
    static Map<String, StoredTensor> tensors(GgufFile file, Arena arena) {
        Map<String, StoredTensor> stored = new LinkedHashMap<>();
        file.tensors().values().forEach(tensor -> {
            String parameter = parameter(tensor.name());
            StoredTensor found = new InGguf(file, tensor, info(file, tensor));
            if (isDecay(parameter) && found.isQuantised()) {
                throw new UserError(file.path() + ": tensor " + JsonText.quoted(tensor.name()) + " is " + tensor.type()
                        + ", which is too coarse for what stands in an exponent: convert the model again");
            }
            stored.put(parameter, isDecay(parameter) ? new Decay(found, arena) : found);
        });
        return stored;
    }

    private static TensorInfo info(GgufFile file, GgufTensor tensor) {
        Shape shape = tensor.shape();
        if (tensor.type().format().filter(WeightFormat::isQuantised).isPresent()) {
            long columns = shape.size(shape.rank() - 1);
            Shape bytes = Shape.of(
                    shape.elements() / Math.max(1, columns), tensor.type().bytes(columns));
            return new TensorInfo(tensor.name(), DType.U8, bytes, tensor.offset());
        }
        DType dtype = switch (tensor.type()) {
            case F32 -> DType.F32;
            case F16 -> DType.F16;
            case BF16 -> DType.BF16;
            case F64 -> DType.F64;
            default ->
                throw new UserError(file.path() + ": tensor " + JsonText.quoted(tensor.name()) + " is " + tensor.type()
                        + ", but models run with " + GgmlType.usable() + ": quantise the model to one of those, best"
                        + " Q8_0");
        };
        boolean convolution = tensor.name().endsWith("ssm_conv1d.weight") && shape.rank() == 2;
        return new TensorInfo(
                tensor.name(), dtype, convolution ? Shape.of(shape.size(0), 1, shape.size(1)) : shape, tensor.offset());
    }

    /** One that is the parameter. */
    private record InGguf(GgufFile source, GgufTensor tensor, TensorInfo info) implements StoredTensor {
        @Override
        public Path file() {
            return source.path();
        }

        @Override
        public MemorySegment data() {
            return source.data(tensor);
        }

        @Override
        public boolean isQuantised() {
            return tensor.type().format().filter(WeightFormat::isQuantised).isPresent();
        }

        @Override
        public WeightFormat format() {
            return tensor.type()
                    .format()
                    .orElseThrow(() -> new IllegalArgumentException(name() + " is " + tensor.type()));
        }
    }

    /** A in the place of A_log, of which a copy is made for those who ask for it. */
    static final class Decay implements StoredTensor {
        private static final ValueLayout.OfFloat FLOAT =
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        private final StoredTensor a;
        private final Arena arena;
        private List<MemorySegment> logarithm = List.of();

        private Decay(StoredTensor a, Arena arena) {
            this.a = a;
            this.arena = arena;
        }

        /**
         * A, -exp(A_log), where it lies, if it is float32.
         *
         * @throws UserError if it is not negative throughout: a state would grow without bounds
         */
        Optional<MemorySegment> a() {
            if (a.info().dtype() != DType.F32) {
                return Optional.empty();
            }
            MemorySegment values = a.data();
            for (long i = 0; i < values.byteSize(); i += Float.BYTES) {
                requireNegative(values.get(FLOAT, i));
            }
            return Optional.of(values);
        }

        @Override
        public Path file() {
            return a.file();
        }

        @Override
        public TensorInfo info() {
            return new TensorInfo(
                    a.name(), DType.F32, a.info().shape(), a.info().offset());
        }

        @Override
        public boolean isQuantised() {
            return false;
        }

        @Override
        public WeightFormat format() {
            return WeightFormat.F32;
        }

        @Override
        public float get(long index) {
            return logarithm(a.get(index));
        }

        @Override
        public synchronized MemorySegment data() {
            if (logarithm.isEmpty()) {
                long count = a.info().shape().elements();
                MemorySegment values = arena.allocate(Float.BYTES * count, Float.BYTES);
                for (long i = 0; i < count; i++) {
                    values.set(FLOAT, Float.BYTES * i, get(i));
                }
                logarithm = List.of(values.asReadOnly());
            }
            return logarithm.getFirst();
        }

        private float logarithm(float value) {
            requireNegative(value);
            return (float) Math.log(-(double) value);
        }

        private void requireNegative(float value) {
            if (!(value < 0)) {
                throw new UserError(file() + ": tensor " + JsonText.quoted(name()) + " holds " + value
                        + ", but all of A must be negative: the file is damaged, convert the model again");
            }
        }
    }
}
