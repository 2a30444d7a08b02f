package org.mamba4j.experiments;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;

/**
 * A model of an experiment.
 *
 * @param name as tables have it
 * @param json its config.json: text, so that a row can be there before its family is
 */
public record ModelRow(String name, String json) {
    /** Found once: a network must be made to know. */
    private static final Map<String, String> HINDRANCES = new ConcurrentHashMap<>();

    /** A row of which only the fields need to be written, with single quotes for double ones. */
    public static ModelRow of(String name, String fields) {
        return new ModelRow(name, "{" + fields.replace('\'', '"') + "}");
    }

    /** @throws UserError if there is no such family, or a value is out of its bounds */
    public ModelConfig config() {
        return ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), name), name);
    }

    /** Why there is no such model; empty if there is. */
    String hindrance() {
        return HINDRANCES.computeIfAbsent(json, key -> find());
    }

    private String find() {
        try (LanguageNetwork network = LanguageNetwork.create(config(), MambaKernels.fused(), 1)) {
            return network.parameterCount() > 0 ? "" : "it has no parameters";
        } catch (UserError e) {
            return String.valueOf(e.getMessage());
        }
    }
}
