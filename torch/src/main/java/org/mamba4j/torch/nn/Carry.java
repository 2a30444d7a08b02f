package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;

/** What flows from one part of a sequence to the next, layer by layer: how one forward pass both trains and streams. */
interface Carry {
    /** Training: every sequence starts from nothing, and where it ends is of no interest. */
    Carry NONE = new Carry() {
        @Override
        public Tensor conv(int layer) {
            return Tensors.absent();
        }

        @Override
        public Tensor ssm(int layer) {
            return Tensors.absent();
        }

        @Override
        public boolean wantsState() {
            return false;
        }

        @Override
        public void update(int layer, Tensor conv, Tensor ssm) {}

        @Override
        public long tokensSeen() {
            return 0;
        }

        @Override
        public LayerNotes notes(int layer) {
            return LayerNotes.EMPTY;
        }

        @Override
        public void updateNotes(int layer, LayerNotes notes) {}
    };

    /** The last K - 1 inputs of the layer's convolution (B, D, K - 1); absent for zeros. */
    Tensor conv(int layer);

    /** The layer's recurrent state (B, D, N); absent for zeros. */
    Tensor ssm(int layer);

    /** Whether {@link #update} needs tensors. */
    boolean wantsState();

    /** Takes over where the layer ended, of the shapes above. */
    void update(int layer, Tensor conv, Tensor ssm);

    /** Tokens read before. */
    long tokensSeen();

    /** What the layer's memory keeps. */
    LayerNotes notes(int layer);

    /** Takes over what the layer's memory keeps now. */
    void updateNotes(int layer, LayerNotes notes);
}
