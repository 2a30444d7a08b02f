package org.mamba4j.experiments;

/** Rows of models that are a block shape around an inner layer: the family {@code composed}. */
final class Composed {
    private Composed() {}

    /**
     * A row.
     *
     * @param vocabulary kinds of tokens
     * @param width of the residual stream (d)
     * @param layers blocks
     * @param rest of config.json, with single quotes: block, inner_layer …
     */
    static ModelRow row(String name, int vocabulary, int width, int layers, String rest) {
        return ModelRow.of(
                name,
                "'model_type':'composed','vocab_size':" + vocabulary + ",'hidden_size':" + width
                        + ",'num_hidden_layers':" + layers + "," + rest);
    }

    /** Which block and which inner layer. */
    static String parts(String block, String inner) {
        return "'block':'" + block + "','inner_layer':'" + inner + "'";
    }
}
