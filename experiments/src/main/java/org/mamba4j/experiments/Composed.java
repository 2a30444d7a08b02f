package org.mamba4j.experiments;

/** Models that are a block shape around an inner layer: the family {@code composed}. */
final class Composed {
    private Composed() {}

    /**
     * A model without a head of its own sizes: vocabulary 16, untied.
     *
     * @param block plain, h3 or mamba
     * @param inner s4, s4d-lin, s4d-real, hyena, s6 …
     * @param width of the residual stream
     */
    static ModelRow row(String name, String block, String inner, int width, int layers) {
        return ModelRow.of(
                name,
                "'model_type':'composed','vocab_size':16,'hidden_size':" + width + ",'num_hidden_layers':" + layers
                        + ",'block':'" + block + "','inner':'" + inner + "'");
    }
}
