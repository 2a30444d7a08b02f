package org.mamba4j.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * Rotary positions [1]: pair i of the numbers of a query or key is turned by position · frequency(i), so that their product
 * depends on the distance between two tokens alone; and their spelling in config.json.
 *
 * <p>Frequency i of n / 2 is theta^(-2i / n). For texts longer than those of training, {@code linear} divides all
 * frequencies by a factor; {@code llama3} [2] only those whose wavelength a text of training held less than {@code
 * lowFreqFactor} times, none that it held more than {@code highFreqFactor} times, and those between in part.
 *
 * <p>References: [1] J. Su et al.: RoFormer, arXiv 2104.09864. [2] The Llama 3 herd of models, arXiv 2407.21783, and
 * its configuration in Hugging Face transformers.
 *
 * @param theta base of the wavelengths
 * @param type {@code default}, {@code linear} or {@code llama3}
 * @param factor by which wavelengths are stretched, unless the type is {@code default}
 * @param originalLength tokens of a text in training
 * @param size numbers of a head that are turned (n), even
 */
public record Rope(
        double theta,
        String type,
        double factor,
        double lowFreqFactor,
        double highFreqFactor,
        int originalLength,
        int size) {
    private static final String PARAMETERS = "rope_parameters";

    /** Where older files have them. */
    private static final List<String> SPELLINGS = List.of(PARAMETERS, "rope_scaling");

    /** Keys in {@code rope_parameters}, and what they are called beside the other keys. */
    private static final Map<String, String> KEYS = keys();

    /** Other names of keys in files that older versions wrote. */
    private static final Map<String, String> OLD = Map.of(
            "rotary_pct", "partial_rotary_factor",
            "rotary_emb_base", "rope_theta");

    private static Map<String, String> keys() {
        Map<String, String> keys = new LinkedHashMap<>();
        keys.put("rope_type", "rope_type");
        keys.put("type", "rope_type");
        keys.put("rope_theta", "rope_theta");
        keys.put("partial_rotary_factor", "partial_rotary_factor");
        keys.put("factor", "rope_factor");
        keys.put("low_freq_factor", "rope_low_freq_factor");
        keys.put("high_freq_factor", "rope_high_freq_factor");
        keys.put("original_max_position_embeddings", "rope_original_max_position_embeddings");
        return keys;
    }

    /** @throws UserError if two values do not fit together */
    public Rope {
        if (type.equals("llama3") && highFreqFactor <= lowFreqFactor) {
            throw new UserError("\"rope_high_freq_factor\" is " + highFreqFactor
                    + ", but must be more than \"rope_low_freq_factor\", " + lowFreqFactor);
        }
    }

    /** By how much each pair turns from one position to the next, in radians (size / 2). */
    public float[] frequencies() {
        float[] all = new float[size / 2];
        for (int i = 0; i < all.length; i++) {
            double frequency = Math.pow(theta, -2.0 * i / size);
            all[i] = (float)
                    switch (type) {
                        case "linear" -> frequency / factor;
                        case "llama3" -> stretched(frequency);
                        default -> frequency;
                    };
        }
        return all;
    }

    private double stretched(double frequency) {
        double periods = originalLength * frequency / (2 * Math.PI); // in a text of training
        double kept = Math.clamp((periods - lowFreqFactor) / (highFreqFactor - lowFreqFactor), 0, 1);
        return (1 - kept) * frequency / factor + kept * frequency;
    }

    /** The width of a head that follows from the others. */
    static int headSize(int dModel, int heads) {
        if (dModel % heads != 0) {
            throw new UserError(
                    "\"hidden_size\" is " + dModel + ", but must be a multiple of \"num_attention_heads\", " + heads);
        }
        return dModel / heads;
    }

    /** Per layer the keys and the values of all tokens, each of shape {@code kept}; then the last output. */
    static List<TensorSpec> stateTensors(int layers, Shape kept, int dModel) {
        List<TensorSpec> all = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            all.add(new TensorSpec("layers." + i + ".key", kept, List.of()));
            all.add(new TensorSpec("layers." + i + ".value", kept, List.of()));
        }
        all.add(TensorSpec.of("last_hidden", dModel));
        return List.copyOf(all);
    }

    /** config.json with all that it says of rotary positions beside the other keys, in whichever spelling it says it. */
    static JsonObject flatten(JsonValue value, String source) {
        JsonFields json = JsonFields.of(value, source);
        Map<String, JsonValue> flat = new LinkedHashMap<>();
        ((JsonObject) value).fields().forEach((key, field) -> {
            if (!SPELLINGS.contains(key)) {
                put(flat, OLD.getOrDefault(key, key), field, json, key);
            }
        });
        for (String spelling : SPELLINGS) {
            if (json.has(spelling)) {
                JsonFields rope = json.object(spelling);
                for (String key : rope.keys()) {
                    if (!KEYS.containsKey(key)) {
                        throw rope.error(key, "this key is unknown and may change what the model computes");
                    }
                    put(flat, String.valueOf(KEYS.get(key)), rope.value(key), rope, key);
                }
            }
        }
        checkStretched(flat, json);
        JsonObject.Builder all = JsonObject.builder();
        flat.forEach(all::put);
        return all.build();
    }

    /** A file that stretches wavelengths must say how: transformers has no defaults, and ours would be a guess. */
    private static void checkStretched(Map<String, JsonValue> flat, JsonFields json) {
        if (flat.get("rope_type") instanceof JsonString type) {
            for (String key : stretching(type.value())) {
                if (flat.getOrDefault(String.valueOf(KEYS.get(key)), JsonNull.NULL) == JsonNull.NULL) {
                    throw new UserError(json.source() + ": rope_type " + type.value() + " needs " + JsonText.quoted(key)
                            + " in " + JsonText.quoted(PARAMETERS));
                }
            }
        }
    }

    /** The keys that a type of stretching reads beside the others. */
    private static List<String> stretching(String type) {
        return switch (type) {
            case "linear" -> List.of("factor");
            case "llama3" ->
                List.of("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings");
            default -> List.of();
        };
    }

    private static void put(Map<String, JsonValue> flat, String name, JsonValue value, JsonFields holder, String key) {
        JsonValue other = flat.putIfAbsent(name, value);
        if (other == JsonNull.NULL) {
            flat.put(name, value);
        } else if (other != null && value != JsonNull.NULL && !equal(other, value)) {
            throw holder.error(key, "elsewhere it is " + JsonText.shown(other));
        }
    }

    private static boolean equal(JsonValue a, JsonValue b) {
        if (a instanceof JsonNumber x && b instanceof JsonNumber y) {
            return x.doubleValue() == y.doubleValue(); // 1 and 1.0
        }
        return a.equals(b);
    }

    /** The opposite of {@link #flatten}, in transformers 5's spelling; what the type does not use is left out. */
    static JsonObject nest(JsonObject flat, String type) {
        JsonObject.Builder all = JsonObject.builder();
        JsonObject.Builder rope = JsonObject.builder();
        flat.fields().forEach((key, value) -> {
            if (!KEYS.containsValue(key)) {
                all.put(key, value);
            }
        });
        List<String> used = new ArrayList<>(List.of("rope_type", "rope_theta", "partial_rotary_factor"));
        used.addAll(stretching(type));
        for (String key : used) {
            JsonValue value = flat.fields().get(String.valueOf(KEYS.get(key)));
            if (value != null) {
                rope.put(key, value);
            }
        }
        return all.put(PARAMETERS, rope.build()).build();
    }
}
