package org.mamba4j.model;

import java.util.Arrays;
import java.util.stream.Collectors;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonValue;

/** The register of model families: what {@code model_type} may say and who reads the rest. */
enum ModelFamily {
    MAMBA("mamba") {
        @Override
        ModelConfig read(JsonValue json, String source) {
            return MambaConfigReader.read(json, source);
        }
    },
    MEMMAMBA(MemMambaConfig.MODEL_TYPE) {
        @Override
        ModelConfig read(JsonValue json, String source) {
            return MemMambaConfig.read(json, source);
        }
    };

    private final String modelType;

    ModelFamily(String modelType) {
        this.modelType = modelType;
    }

    abstract ModelConfig read(JsonValue json, String source);

    /** The family that {@code config} names; state-spaces writes no name. */
    static ModelFamily of(JsonFields config) {
        if (!config.has("model_type")) {
            if (config.has("d_model") && config.has("n_layer")) {
                return MAMBA;
            }
            throw new UserError(config.source() + ": the key \"model_type\" is missing: it must be " + known());
        }
        String name = config.string("model_type");
        for (ModelFamily family : values()) {
            if (family.modelType.equals(name)) {
                return family;
            }
        }
        throw config.error("model_type", "must be " + known());
    }

    private static String known() {
        return Arrays.stream(values()).map(family -> family.modelType).collect(Collectors.joining(" or "));
    }
}
