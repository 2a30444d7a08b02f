package org.mamba4j.data;

import java.util.Arrays;

/**
 * B sequences of L tokens, each with the token that should follow it. Arrays are row-major, belong to whoever asked
 * for the batch, and are not shared.
 *
 * <p>Sequences of different lengths, and tasks in which some answers count more, are told by weights: the loss is
 * Σ weight · loss, so a source whose weights are those of means (1 / n for each of n targets) has a sum of means for its
 * loss, whatever else is added to it. Positions that do not count (padding after a short sequence among them) have weight 0
 * and any valid token as input and target; being causal, a model is not disturbed by what comes after.
 */
public final class Batch {
    private final int rows;
    private final int length;
    private final int[] inputs;
    private final int[] targets;
    private final float[] weights;

    private Batch(int rows, int[] inputs, int[] targets, float[] weights) {
        if (rows < 1 || inputs.length == 0 || inputs.length % rows != 0) {
            throw new IllegalArgumentException(inputs.length + " inputs in " + rows + " rows");
        }
        if (targets.length != inputs.length || (weights.length != 0 && weights.length != inputs.length)) {
            throw new IllegalArgumentException(
                    inputs.length + " inputs, " + targets.length + " targets, " + weights.length + " weights");
        }
        this.rows = rows;
        this.length = inputs.length / rows;
        this.inputs = inputs;
        this.targets = targets;
        this.weights = weights;
    }

    /** A batch in which every target counts alike. */
    public static Batch of(int rows, int[] inputs, int[] targets) {
        return new Batch(rows, inputs, targets, new float[0]);
    }

    /** A batch with a weight (B, L) per target. */
    public static Batch weighted(int rows, int[] inputs, int[] targets, float[] weights) {
        if (weights.length == 0) {
            throw new IllegalArgumentException("no weights");
        }
        return new Batch(rows, inputs, targets, weights);
    }

    /** Number of sequences (B). */
    public int rows() {
        return rows;
    }

    /** Tokens per sequence (L). */
    public int length() {
        return length;
    }

    /** What the model reads (B, L). */
    public int[] inputs() {
        return inputs;
    }

    /** What should follow each input (B, L). */
    public int[] targets() {
        return targets;
    }

    /** Whether {@link #weights} says how much each target counts; otherwise all count alike. */
    public boolean isWeighted() {
        return weights.length > 0;
    }

    /** How much each target counts (B, L), at least 0; empty when all count alike. */
    public float[] weights() {
        return weights;
    }

    /**
     * Some of the sequences, copied.
     *
     * @param from the first
     * @param to the one after the last
     */
    public Batch part(int from, int to) {
        if (from < 0 || from >= to || to > rows) {
            throw new IndexOutOfBoundsException("rows " + from + " to " + to + " of " + rows);
        }
        int first = from * length;
        int end = to * length;
        return new Batch(
                to - from,
                Arrays.copyOfRange(inputs, first, end),
                Arrays.copyOfRange(targets, first, end),
                isWeighted() ? Arrays.copyOfRange(weights, first, end) : weights);
    }
}
