package org.mamba4j.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonText;

/** Finds a folder's files of weights: one, or as many as an index lists. */
final class WeightFiles {
    static final String SINGLE = "model.safetensors";
    static final String INDEX = "model.safetensors.index.json";
    private static final String PICKLE = "pytorch_model.bin";
    private static final long MAX_INDEX_BYTES = 64 << 20;

    private WeightFiles() {}

    /** Opens them all, or none. */
    static List<SafetensorsFile> open(Path folder) {
        if (Files.exists(folder.resolve(SINGLE))) {
            return List.of(SafetensorsFile.open(folder.resolve(SINGLE)));
        }
        if (Files.exists(folder.resolve(INDEX))) {
            return openIndexed(folder);
        }
        for (String pickle : List.of(PICKLE, PICKLE + ".index.json")) {
            if (Files.exists(folder.resolve(pickle))) {
                throw new UserError(folder + " has its weights in " + pickle + " only, which can run any code when it"
                        + " is read and is not supported: convert it to " + SINGLE);
            }
        }
        throw new UserError(folder + " has neither " + SINGLE + " nor " + INDEX);
    }

    private static List<SafetensorsFile> openIndexed(Path folder) {
        Map<String, String> fileOf = readIndex(folder.resolve(INDEX));
        Map<String, SafetensorsFile> open = new LinkedHashMap<>();
        try {
            for (String name : fileOf.values()) {
                if (!open.containsKey(name)) {
                    open.put(name, SafetensorsFile.open(folder.resolve(name)));
                }
            }
            checkAgainstIndex(folder.resolve(INDEX), fileOf, open);
            return new ArrayList<>(open.values());
        } catch (RuntimeException e) {
            open.values().forEach(SafetensorsFile::close);
            throw e;
        }
    }

    /** Tensor name → file name. */
    private static Map<String, String> readIndex(Path index) {
        JsonFields json =
                JsonFields.of(Json.parse(Json.readBytes(index, MAX_INDEX_BYTES), index.toString()), index.toString());
        JsonFields weights = json.object("weight_map");
        Map<String, String> fileOf = new LinkedHashMap<>();
        for (String tensor : weights.keys()) {
            String file = weights.string(tensor);
            // A plain name: an index must not lead out of its folder.
            if (!file.endsWith(".safetensors") || file.contains("/") || file.contains("\\") || file.contains("\0")) {
                throw weights.error(tensor, "must name a .safetensors file of the same folder");
            }
            fileOf.put(tensor, file);
        }
        if (fileOf.isEmpty()) {
            throw new UserError(index + ": \"weight_map\" is empty");
        }
        return fileOf;
    }

    private static void checkAgainstIndex(Path index, Map<String, String> fileOf, Map<String, SafetensorsFile> open) {
        Map<String, String> missing = new HashMap<>(fileOf);
        open.forEach((name, file) -> {
            for (String tensor : file.tensors().keySet()) {
                if (!name.equals(missing.remove(tensor))) {
                    throw new UserError(
                            file.path() + ": tensor " + JsonText.quoted(tensor) + " is not listed so in " + index);
                }
            }
        });
        if (!missing.isEmpty()) {
            Map.Entry<String, String> one = missing.entrySet().iterator().next();
            throw new UserError(index + ": tensor " + JsonText.quoted(one.getKey()) + " is not in " + one.getValue());
        }
    }
}
