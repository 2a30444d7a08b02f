package org.mamba4j.model;

import java.util.List;

/**
 * What one layer of a composed model is made of. The model's configuration says it for all layers; where their inner layers
 * differ, a value is that of the layers that take it, so what holds in a layer is here.
 *
 * @param model whose layer it is
 * @param innerLayer what moves information along the sequence
 * @param aInit A at first
 * @param discretisation how a step is made of the continuous system
 * @param dState numbers that the recurrence remembers per channel (N), a complex one counting twice
 * @param dConv taps of the block's own short convolution
 */
public record LayerParts(
        ComposedConfig model, String innerLayer, String aInit, String discretisation, int dState, int dConv) {

    /** Whether the inner layer's state is made of complex numbers. */
    public boolean isComplex() {
        return Automatic.isComplex(innerLayer, aInit);
    }

    /** What the recurrence remembers per channel, complex numbers counting once: N, or N / 2 where they are complex. */
    public int modes() {
        return isComplex() ? dState / 2 : dState;
    }

    /** Whether the short convolution of an h3 block runs over q, k and v, and not over k alone. */
    public boolean filtersAll() {
        return model.block().equals("h3") && innerLayer.equals("hyena");
    }

    /** Whether the time steps are computed from the token itself. */
    public boolean isDeltaSelective() {
        return isSelective("delta");
    }

    /** Whether B is computed from the token itself. */
    public boolean isBSelective() {
        return isSelective("b");
    }

    /** Whether C is computed from the token itself. */
    public boolean isCSelective() {
        return isSelective("c");
    }

    /** Whether the inner layer computes it, being one that selects. */
    private boolean isSelective(String part) {
        String all = model.selective();
        return innerLayer.equals("s6")
                && (all.equals("all") || List.of(all.split("-")).contains(part));
    }
}
