package org.mamba4j.model;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/** The register of model families: what {@code model_type} may say, who reads the rest, and which keys there are. */
public enum ModelFamily {
    /** {@link MambaConfig}. */
    MAMBA(MambaConfig.MODEL_TYPE, MambaConfigReader::read, MambaConfig.SCHEMA),
    /** {@link MemMambaConfig}: a Mamba's keys and those of its memory. */
    MEMMAMBA(MemMambaConfig.MODEL_TYPE, MemMambaConfig::read, MambaConfig.SCHEMA, MemoryConfig.SCHEMA),
    /** {@link DeciMambaConfig}: a Mamba's keys and those of its decimation. */
    DECIMAMBA(DeciMambaConfig.MODEL_TYPE, DeciMambaConfig::read, MambaConfig.SCHEMA, DecimationConfig.SCHEMA),
    /** {@link Mamba2Config}. */
    MAMBA2(Mamba2Config.MODEL_TYPE, Mamba2Config::read, Mamba2Config.SCHEMA),
    /** {@link LlamaConfig}: Transformer++. */
    LLAMA(LlamaConfig.MODEL_TYPE, LlamaConfig::read, LlamaConfig.SCHEMA),
    /** {@link GptNeoxConfig}: Pythia. */
    GPT_NEOX(GptNeoxConfig.MODEL_TYPE, GptNeoxConfig::read, GptNeoxConfig.SCHEMA),
    /** {@link RecurrentConfig}: LSTM and GRU. */
    RNN(RecurrentConfig.MODEL_TYPE, RecurrentConfig::read, RecurrentConfig.SCHEMA),
    /** {@link ComposedConfig}: a shape of block around an inner layer. */
    COMPOSED(ComposedConfig.MODEL_TYPE, ComposedConfig::read, ComposedConfig.SCHEMA),
    /** {@link MambaUNetConfig}: a Mamba's keys and those of its pools. */
    MAMBA_UNET(MambaUNetConfig.MODEL_TYPE, MambaUNetConfig::read, MambaConfig.SCHEMA, PoolingConfig.SCHEMA);

    private final String modelType;

    @SuppressWarnings("ImmutableEnumChecker") // a method reference to a static method
    private final Reader reader;

    @SuppressWarnings("ImmutableEnumChecker") // made by List.of; a schema does not change once it is made
    private final List<ConfigSchema<?>> schemas;

    /** Makes a configuration of config.json. */
    @FunctionalInterface
    private interface Reader {
        ModelConfig read(JsonValue json, String source);
    }

    ModelFamily(String modelType, Reader reader, ConfigSchema<?>... schemas) {
        this.modelType = modelType;
        this.reader = reader;
        this.schemas = List.of(schemas);
    }

    /** Its name as {@code model_type} of config.json has it. */
    public String modelType() {
        return modelType;
    }

    /** Every key that its configuration has, with default, bounds and meaning. */
    public List<ConfigSchema.Field> fields() {
        return schemas.stream().flatMap(schema -> schema.fields().stream()).toList();
    }

    ModelConfig read(JsonValue json, String source) {
        return reader.read(json, source);
    }

    /** The family that {@code config} names; state-spaces writes no name. */
    static ModelFamily of(JsonFields config) {
        if (!config.has("model_type")) {
            if (config.has("d_model") && config.has("n_layer")) {
                return layersOf(config).equals("Mamba2") ? MAMBA2 : MAMBA;
            }
            throw new UserError(config.source() + ": the key \"model_type\" is missing: it must be one of " + known());
        }
        String name = config.string("model_type");
        for (ModelFamily family : values()) {
            if (family.modelType.equals(name)) {
                return family;
            }
        }
        throw config.error("model_type", "must be one of " + known());
    }

    /** What state-spaces calls its layers. */
    private static String layersOf(JsonFields config) {
        JsonFields none = JsonFields.of(JsonObject.builder().build(), config.source());
        JsonFields ssm = config.optional("ssm_cfg", config::object, none);
        return ssm.optional("layer", ssm::string, "Mamba1");
    }

    private static String known() {
        return Arrays.stream(values()).map(family -> family.modelType).collect(Collectors.joining(", "));
    }
}
