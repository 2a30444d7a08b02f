package org.mamba4j.torch.train;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.mamba4j.torch.nn.MemoryTraining;

/** What the layers' memories do, as metrics; warns of one that notes everything or nothing. */
final class NoteMetrics {
    private final TrainListener listener;
    private final double denseUntil;
    private final Map<Integer, Double> warned = new HashMap<>();

    /**
     * @param listener told of defects, once for each layer and kind
     * @param denseUntil share of the run's steps in which every token is noted
     */
    NoteMetrics(TrainListener listener, double denseUntil) {
        this.listener = listener;
        this.denseUntil = denseUntil;
    }

    /**
     * Adds {@code layers.I.note_rate} and so on for each layer, I from 0 as in the tensors' names.
     *
     * @param progress share of the run's steps that lay behind when the step began
     * @param values to be added to
     */
    void add(List<MemoryTraining.Statistics> layers, double progress, Map<String, Double> values) {
        for (MemoryTraining.Statistics layer : layers) {
            String prefix = "layers." + layer.layer() + ".";
            values.put(prefix + Metrics.NOTE_RATE, layer.noteRate());
            values.put(prefix + Metrics.MEAN_GATE, layer.meanGate());
            values.put(prefix + Metrics.MEAN_SCORE, layer.meanScore());
            putIfRead(values, prefix + Metrics.ATTENTION_ON_NOTES, layer.attentionOnNotes());
            putIfRead(values, prefix + Metrics.ATTENTION_BELOW, layer.attentionBelow());
            boolean extreme = layer.noteRate() == 0 || layer.noteRate() == 1;
            if (extreme
                    && progress >= denseUntil
                    && !Double.valueOf(layer.noteRate()).equals(warned.put(layer.layer(), layer.noteRate()))) {
                listener.note(String.format(
                        Locale.ROOT,
                        "warning: layer %d notes %s token (mean score %.3g, mean gate %.3g): its memory does not choose;"
                                + " if that lasts, start again with another seed or notes.price",
                        layer.layer(),
                        layer.noteRate() == 0 ? "no" : "every",
                        layer.meanScore(),
                        layer.meanGate()));
            }
        }
    }

    private static void putIfRead(Map<String, Double> values, String name, double value) {
        if (!Double.isNaN(value)) {
            values.put(name, value);
        }
    }
}
