package org.mamba4j.torch.nn;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.inference.StateSnapshot;
import org.mamba4j.memory.NotePosition;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;

/**
 * Between {@link LayerNotes} and the tensors of a saved state, which {@link MemMambaConfig#stateTensors} describes.
 *
 * @param tokensSeen tokens that the sequence has read
 */
record NotesFile(MemMambaConfig config, long tokensSeen) {
    /** The notes of all layers by the names of their tensors. */
    Map<String, float[]> write(Map<Integer, LayerNotes> notes) {
        StateSnapshot snapshot = StateSnapshot.zeros(config, tokensSeen);
        Map<String, float[]> values = new LinkedHashMap<>();
        for (int layer = 0; layer < config.nLayer(); layer++) {
            if (config.takesNotes(layer)) {
                LayerNotes own = notes.getOrDefault(layer, LayerNotes.EMPTY);
                put(layer, "pool.summary", own.summaries(), snapshot, values);
                put(layer, "pool.importance", own.importances(), snapshot, values);
                put(layer, "pool.position", positions(own), snapshot, values);
                put(layer, "open.summary", own.openSummaries(), snapshot, values);
                put(layer, "open.importance", zeroUnlessNoted(own.openImportances()), snapshot, values);
                put(layer, "open.noted", oneWhereNoted(own.openImportances()), snapshot, values);
                if (config.memory().fusion().equals("conv")) {
                    put(layer, "token.conv", channelsFirst(own.tokenTail()), snapshot, values);
                    put(layer, "layer.conv", channelsFirst(own.layerTail()), snapshot, values);
                }
            }
        }
        return values;
    }

    private static String name(int layer, String part) {
        return "layers." + layer + ".memory." + part;
    }

    private static void put(int layer, String part, float[] content, StateSnapshot zeros, Map<String, float[]> values) {
        String name = name(layer, part);
        if (zeros.tensors().containsKey(name)) {
            float[] all = zeros.tensor(name);
            System.arraycopy(content, 0, all, 0, content.length);
            values.put(name, all);
        }
    }

    private float[] positions(LayerNotes notes) {
        float[] all = new float[2 * config.memory().greatestPool()];
        Arrays.fill(all, NotePosition.NONE);
        for (int i = 0; i < notes.held(); i++) {
            all[2 * i] = NotePosition.high(notes.positions()[i]);
            all[2 * i + 1] = NotePosition.low(notes.positions()[i]);
        }
        return all;
    }

    private static float[] zeroUnlessNoted(float[] importances) {
        float[] all = importances.clone();
        for (int i = 0; i < all.length; i++) {
            all[i] = all[i] == Float.NEGATIVE_INFINITY ? 0 : all[i];
        }
        return all;
    }

    private static float[] oneWhereNoted(float[] importances) {
        float[] all = new float[importances.length];
        for (int i = 0; i < all.length; i++) {
            all[i] = importances[i] == Float.NEGATIVE_INFINITY ? 0 : 1;
        }
        return all;
    }

    /** (taps - 1, d) → (d, taps - 1). */
    private static float[] channelsFirst(float[] tail) {
        int times = MemoryConfig.FUSION_TAPS - 1;
        float[] all = new float[tail.length];
        for (int i = 0; i < tail.length; i++) {
            int channels = tail.length / times;
            all[i % channels * times + i / channels] = tail[i];
        }
        return all;
    }

    /** (d, taps - 1) → (taps - 1, d). */
    private static float[] timeFirst(float[] tail) {
        int times = MemoryConfig.FUSION_TAPS - 1;
        float[] all = new float[tail.length];
        for (int i = 0; i < tail.length; i++) {
            int channels = tail.length / times;
            all[i] = tail[i % channels * times + i / channels];
        }
        return all;
    }

    /**
     * The notes of all layers.
     *
     * @param file for messages
     * @throws UserError if they are not such as this model can have made
     */
    Map<Integer, LayerNotes> read(Path file, StateSnapshot snapshot) {
        Map<Integer, LayerNotes> notes = new HashMap<>();
        for (int layer = 0; layer < config.nLayer() && tokensSeen > 0; layer++) {
            if (config.takesNotes(layer)) {
                notes.put(layer, read(file, snapshot, layer));
            }
        }
        return notes;
    }

    private LayerNotes read(Path file, StateSnapshot snapshot, int layer) {
        MemoryConfig memory = config.memory();
        long[] positions = readPositions(file, name(layer, "pool.position"), snapshot);
        int open = (int) (tokensSeen % memory.chunkSize());
        float[] noted = snapshot.tensor(name(layer, "open.noted"));
        float[] openImportances = Arrays.copyOf(snapshot.tensor(name(layer, "open.importance")), open);
        for (int i = 0; i < open; i++) {
            openImportances[i] = noted[i] == 0 ? Float.NEGATIVE_INFINITY : openImportances[i];
        }
        return new LayerNotes(
                Arrays.copyOf(snapshot.tensor(name(layer, "pool.summary")), positions.length * memory.summarySize()),
                Arrays.copyOf(snapshot.tensor(name(layer, "pool.importance")), positions.length),
                positions,
                Arrays.copyOf(snapshot.tensor(name(layer, "open.summary")), open * memory.summarySize()),
                openImportances,
                tail(snapshot, name(layer, "token.conv")),
                tail(snapshot, name(layer, "layer.conv")));
    }

    private static float[] tail(StateSnapshot snapshot, String name) {
        return snapshot.tensors().containsKey(name) ? timeFirst(snapshot.tensor(name)) : new float[0];
    }

    private long[] readPositions(Path file, String name, StateSnapshot snapshot) {
        float[] parts = snapshot.tensor(name);
        long committed = tokensSeen - tokensSeen % config.memory().chunkSize();
        int held = 0;
        while (2 * held < parts.length && parts[2 * held] >= 0) {
            held++;
        }
        long[] positions = new long[held];
        for (int i = 0; i < held; i++) {
            positions[i] = NotePosition.of(parts[2 * i], parts[2 * i + 1]);
            if (positions[i] < 0 || positions[i] >= committed) {
                throw new UserError(file + ": the state's tensor \"" + name + "\" has a note of token " + positions[i]
                        + ", but only those before " + committed + " can be in a pool after " + tokensSeen
                        + " tokens: the file is damaged");
            }
        }
        int most = config.memory().poolSizeAfter(committed);
        if (held > most) {
            throw new UserError(file + ": the state's tensor \"" + name + "\" has " + held + " notes, but a pool holds "
                    + most + " after " + tokensSeen + " tokens: the file is damaged");
        }
        return positions;
    }
}
