package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.LayerParts;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * What the parts of one layer of a {@link Composed} model are made of.
 *
 * @param parts which they are
 * @param index of the layer, from 0
 * @param parameters of the whole model
 */
record ComposedLayer(LayerParts parts, MambaKernels kernels, Parameters parameters, int index) {
    /** Of the whole model. */
    ComposedConfig config() {
        return parts.model();
    }

    /** A parameter of the layer, absent where the configuration has none; for example {@code mixer.D}. */
    Tensor weight(String name) {
        return parameters.get("backbone.layers." + index + "." + name);
    }

    /** The projection called {@code name}, with its bias if it has one. */
    Tensor linear(Tensor x, String name) {
        return kernels.linear(x, weight(name + ".weight"), weight(name + ".bias"));
    }
}
