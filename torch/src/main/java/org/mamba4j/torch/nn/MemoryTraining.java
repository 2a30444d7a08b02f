package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.data.Draws;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * How notes are taken in one training step, and afterwards what was seen: one object for each forward pass.
 *
 * <p>A hard threshold does not train by itself: a note that was never taken gets no gradient, and one that is not read is
 * pushed below the threshold for good. So training begins with every token noted and a pool for all ({@code dense}),
 * makes notes costly ({@link #notePrice}), shrinks the pool, and for a while notes some tokens at random.
 *
 * <p>Belongs to the thread that runs the pass; its tensors to the scope around it.
 */
public final class MemoryTraining implements NotePolicy {
    /** How much one step moves the thresholds. */
    static final double THRESHOLD_WEIGHT = 0.1;

    /** Share of the tokens that should be above the threshold, in pools per sequence. */
    static final double NOTES_PER_PLACE = 1.5;

    private final Controls controls;
    private final TreeMap<Integer, LayerActivity> seen = new TreeMap<>();

    /**
     * What is done differently from inference.
     *
     * @param capacity notes that a pool holds (C), from 1
     * @param dense whether every token is noted
     * @param exploration probability with which a token is noted whatever its score, in [0, 1]; such notes are ranked
     *     above all others, the earlier the higher, else they would be evicted at once
     * @param seed of the exploration; another one for each step
     * @param movesThresholds whether each θ moves to the quantile above which 1.5 · C / L of its layer's scores lie,
     *     0.1 of the way
     */
    public record Controls(int capacity, boolean dense, double exploration, long seed, boolean movesThresholds) {
        /** @throws IllegalArgumentException if a value is out of its range */
        public Controls {
            if (capacity < 1 || !(exploration >= 0 && exploration <= 1)) {
                throw new IllegalArgumentException("capacity " + capacity + ", exploration " + exploration);
            }
        }
    }

    /**
     * What one layer did, over all tokens of the batch.
     *
     * @param layer from 0
     * @param noteRate share of the tokens that were noted; 0 or 1 after the dense phase is a defect
     * @param meanGate mean of σ(a)
     * @param meanScore mean of a
     * @param attentionOnNotes share of attention that notes of this layer got; NaN where they are not read
     * @param attentionBelow share of attention that notes of layers below got; NaN where they are not read
     */
    public record Statistics(
            int layer,
            double noteRate,
            double meanGate,
            double meanScore,
            double attentionOnNotes,
            double attentionBelow) {}

    public MemoryTraining(Controls controls) {
        this.controls = controls;
    }

    /**
     * The price of notes: Σ over layers of max(0, log(mean of g / share)). To be added to the loss, with a factor.
     *
     * @param share mean gate up to which notes are free (ρ), above 0
     * @return a scalar with its graph
     * @throws IllegalStateException before the forward pass
     */
    public Tensor notePrice(double share) {
        if (seen.isEmpty()) {
            throw new IllegalStateException("no forward pass has used this object yet");
        }
        Tensor price = Tensors.absent();
        for (LayerActivity layer : seen.values()) {
            Tensor one = layer.meanGate().log().sub(new Scalar(Math.log(share))).clamp_min(new Scalar(0.0));
            price = price.defined() ? price.add(one) : one;
        }
        return price;
    }

    /** What each layer with a memory did; waits for the device, once. */
    public List<Statistics> statistics() {
        if (seen.isEmpty()) {
            return List.of();
        }
        float[] values = TensorScope.call(() -> {
            TensorVector all = new TensorVector();
            for (LayerActivity layer : seen.values()) {
                for (Tensor tensor : layer.all()) {
                    all.push_back(
                            tensor.defined()
                                    ? tensor.detach().to(ScalarType.Float)
                                    : layer.meanGate()
                                            .detach()
                                            .to(ScalarType.Float)
                                            .mul(new Scalar(Double.NaN)));
                }
            }
            return Tensors.toFloats(torch.stack(all));
        });
        List<Statistics> statistics = new ArrayList<>();
        int at = 0;
        for (int layer : seen.keySet()) {
            statistics.add(
                    new Statistics(layer, values[at + 1], values[at], values[at + 2], values[at + 3], values[at + 4]));
            at += 5;
        }
        return statistics;
    }

    @Override
    public int places() {
        return controls.capacity();
    }

    @Override
    public int after(long tokens) {
        return controls.capacity();
    }

    @Override
    public boolean dense() {
        return controls.dense();
    }

    /** Probability with which a token is noted whatever its score. */
    double exploration() {
        return controls.exploration();
    }

    /** Of the draws of one layer: the next one's is greater by 1. */
    long explorationSeed(int layer) {
        return Draws.seed(controls.seed(), layer);
    }

    @Override
    public Tensor explored(int layer, long batch, long length) {
        if (controls.exploration() == 0) {
            return Tensors.absent();
        }
        float[] chosen = new float[Math.toIntExact(batch * length)];
        SplittableRandom random = new SplittableRandom(explorationSeed(layer));
        for (int i = 0; i < chosen.length; i++) {
            chosen[i] = random.nextDouble() < controls.exploration() ? 1 : 0;
        }
        return Tensors.of(chosen, batch, length);
    }

    @Override
    public ThresholdMove thresholdMove(long length) {
        double share = Math.min(1, NOTES_PER_PLACE * controls.capacity() / length);
        return controls.movesThresholds() ? new ThresholdMove(share, THRESHOLD_WEIGHT) : ThresholdMove.NONE;
    }

    @Override
    public boolean observes() {
        return true;
    }

    @Override
    public void observe(int index, LayerActivity a, TensorScope layer) {
        for (Tensor tensor : a.all()) {
            if (tensor.defined()) {
                layer.promote(tensor);
            }
        }
        seen.put(index, a);
    }
}
