package org.mamba4j.model;

import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/**
 * A Mamba that leaves unimportant tokens of long texts out of its later layers (DeciMamba, arXiv 2406.14528). Its weights
 * are a Mamba's, so any Mamba can be read as one.
 *
 * @param mamba the model that it is where nothing is left out
 * @param decimation what is left out
 */
public record DeciMambaConfig(MambaConfig mamba, DecimationConfig decimation) implements ExtendedMamba {
    static final String MODEL_TYPE = "decimamba";

    private static final MambaExtension<DecimationConfig> FORMAT =
            new MambaExtension<>(MODEL_TYPE, "DeciMambaForCausalLM", "decimation_", DecimationConfig.SCHEMA);

    /** @throws UserError if it names layers that there are not */
    public DeciMambaConfig {
        if (decimation.firstLayer() + decimation.layers() > mamba.nLayer()) {
            throw new UserError("\"decimation_first_layer\" is " + decimation.firstLayer()
                    + " and \"decimation_layers\" " + decimation.layers() + ", but the last layer is "
                    + (mamba.nLayer() - 1) + ", counted from 0");
        }
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public DeciMambaConfig withVocabSize(int rows) {
        return new DeciMambaConfig(mamba.withVocabSize(rows), decimation);
    }

    @Override
    public List<TensorSpec> parameters() {
        return mamba.parameters();
    }

    @Override
    public List<TensorSpec> stateTensors() {
        return mamba.stateTensors();
    }

    /** The Mamba's keys, and those of {@link DecimationConfig} beside them. */
    @Override
    public JsonObject toJson() {
        return FORMAT.write(mamba, decimation);
    }

    static DeciMambaConfig read(JsonValue value, String source) {
        return FORMAT.read(value, source, DeciMambaConfig::new);
    }
}
