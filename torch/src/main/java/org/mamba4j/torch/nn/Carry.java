package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;

/** What flows from one part of a sequence to the next, layer by layer: how one forward pass both trains and streams. */
interface Carry {
    /** Training: every sequence starts from nothing, and where it ends is of no interest. */
    Carry NONE = wanting(Long.MAX_VALUE);

    /**
     * The same where only what follows the last {@code tokens} of each sequence is to be predicted.
     *
     * @param tokens at least 1
     */
    static Carry wanting(long tokens) {
        return new Fresh(tokens);
    }

    /** See {@link #NONE}. */
    record Fresh(long tokens) implements Carry {
        @Override
        public long wanted(long length) {
            return Math.min(length, tokens);
        }

        @Override
        public Tensor get(int layer, String part) {
            return Tensors.absent();
        }

        @Override
        public boolean wantsState() {
            return false;
        }

        @Override
        public void update(int layer, String part, Tensor value) {}

        @Override
        public Tensor append(int layer, String part, Tensor rows) {
            return rows;
        }

        @Override
        public long tokensSeen() {
            return 0;
        }

        @Override
        public String weights() {
            return "";
        }

        @Override
        public LayerNotes notes(int layer) {
            return LayerNotes.EMPTY;
        }

        @Override
        public void updateNotes(int layer, LayerNotes notes) {}
    }

    /**
     * A part of what the layer remembers.
     *
     * @param part as {@link org.mamba4j.model.ModelConfig#stateTensors()} has it after {@code layers.N.}
     * @return with a batch (B) in front; absent for zeros
     */
    Tensor get(int layer, String part);

    /** Whether {@link #update} needs tensors. */
    boolean wantsState();

    /** Takes over what the layer remembers now, of the shape of {@link #get}. */
    void update(int layer, String part, Tensor value);

    /**
     * Takes over what the layer remembers of each token that it reads, and tells what it remembers of all of them.
     *
     * @param part as above; its shape grows with the tokens read
     * @param rows of the tokens at hand (B, H, L, n)
     * @return those of all tokens, the earliest first (B, H, T, n)
     */
    Tensor append(int layer, String part, Tensor rows);

    /** The last K - 1 inputs of a Mamba layer's convolution (B, D, K - 1); absent for zeros. */
    default Tensor conv(int layer) {
        return get(layer, "conv");
    }

    /** A Mamba layer's recurrent state (B, D, N); absent for zeros. */
    default Tensor ssm(int layer) {
        return get(layer, "ssm");
    }

    /** Takes over where a Mamba layer ended, of the shapes above. */
    default void update(int layer, Tensor conv, Tensor ssm) {
        update(layer, "conv", conv);
        update(layer, "ssm", ssm);
    }

    /** Tokens read before. */
    long tokensSeen();

    /**
     * Tells the weights that it goes with from others, so that what follows from weights alone can be kept from call to call;
     * empty where weights may change between calls.
     */
    String weights();

    /**
     * Of how many of the last of {@code length} tokens at hand the output will be read: a layer may leave the others out. At
     * least 1.
     */
    default long wanted(long length) {
        return length;
    }

    /** What the layer's memory keeps. */
    LayerNotes notes(int layer);

    /** Takes over what the layer's memory keeps now. */
    void updateNotes(int layer, LayerNotes notes);
}
