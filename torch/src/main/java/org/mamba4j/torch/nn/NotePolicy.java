package org.mamba4j.torch.nn;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** What training may do differently from inference while notes are taken, and what it is shown. */
interface NotePolicy extends NoteSelection.Capacity {
    /** Greatest capacity, at least 1. */
    int places();

    /** Whether every token is noted whatever its score. */
    boolean dense();

    /**
     * Tokens that are noted whatever their score, and ranked above all others.
     *
     * @return (B, L) bool, or absent for none
     */
    Tensor explored(int layer, long batch, long length);

    /**
     * How much of a batch's scores the threshold moves to their quantile, 0 for not at all.
     *
     * @param length tokens of a sequence
     */
    ThresholdMove thresholdMove(long length);

    /** Shown what a layer did; tensors that are to outlive the layer's temporaries are promoted out of {@code layer}. */
    void observe(int index, LayerActivity activity, TensorScope layer);

    /** Shown what a layer's mixer reads, x̄ (B, L, d), whose temporaries are those of {@code layer}. */
    default void seesMixerInput(int index, Tensor x, TensorScope layer) {}

    /**
     * θ ← (1 - weight) θ + weight · quantile.
     *
     * @param share of the tokens that should be above the threshold, in [0, 1]
     * @param weight 0 leaves the threshold where it is
     */
    record ThresholdMove(double share, double weight) {
        static final ThresholdMove NONE = new ThresholdMove(1, 0);

        /** Which of so many scores the quantile is, the least being the first. */
        long scores(long count) {
            return Math.clamp(count - Math.round(share * count), 1, count);
        }
    }

    /**
     * Scalars over all tokens of a batch.
     *
     * @param meanGate mean of g, with its graph
     * @param noteRate share of the tokens that were noted
     * @param meanScore mean of a
     * @param attentionOnNotes share of attention that notes of this layer got, or absent
     * @param attentionBelow share of attention that notes of layers below got, or absent
     */
    record LayerActivity(
            Tensor meanGate, Tensor noteRate, Tensor meanScore, Tensor attentionOnNotes, Tensor attentionBelow) {
        /** All of them, in that order. */
        List<Tensor> all() {
            return List.of(meanGate, noteRate, meanScore, attentionOnNotes, attentionBelow);
        }
    }

    /** As the configuration says and nothing else. */
    static NotePolicy inference(MemoryConfig memory) {
        return new Inference(memory);
    }

    /** As {@link #inference}, and watched. */
    abstract class Watched extends Inference {
        Watched(MemoryConfig memory) {
            super(memory);
        }

        @Override
        public boolean observes() {
            return true;
        }
    }

    /** Takes notes as the configuration says. */
    class Inference implements NotePolicy {
        private final MemoryConfig memory;

        Inference(MemoryConfig memory) {
            this.memory = memory;
        }

        @Override
        public int places() {
            return memory.greatestPool();
        }

        @Override
        public int after(long tokens) {
            return memory.poolSizeAfter(tokens);
        }

        @Override
        public boolean dense() {
            return false;
        }

        @Override
        public Tensor explored(int layer, long batch, long length) {
            return Tensors.absent();
        }

        @Override
        public ThresholdMove thresholdMove(long length) {
            return ThresholdMove.NONE;
        }

        @Override
        public boolean observes() {
            return false;
        }

        @Override
        public void observe(int index, LayerActivity activity, TensorScope layer) {}
    }

    /** Whether {@link #observe} is wanted. */
    boolean observes();
}
