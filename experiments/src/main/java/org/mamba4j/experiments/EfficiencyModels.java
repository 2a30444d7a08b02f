package org.mamba4j.experiments;

import java.util.List;
import java.util.Locale;

/**
 * The models of the efficiency experiment: one family, one size. Where sizes should be equal they are those of the paper's
 * 125 M and 1.3 B, a Transformer++ having half as many blocks as a Mamba.
 *
 * @param row name and configuration
 * @param fast whether it generates on {@link org.mamba4j.torch.decode}'s kernels on a GPU
 */
record EfficiencyModels(ModelRow row, boolean fast) {
    private static final int VOCABULARY = 50_280;
    private static final int SMALL_VOCABULARY = 256;

    /** Of 125 M for {@link Scale#FULL}, tiny for the others. */
    static List<EfficiencyModels> trained(Setup setup) {
        return of(setup.by(64, 128, 768), setup.by(2, 4, 24), vocabulary(setup), true);
    }

    /** Of 1.3 B for {@link Scale#FULL}, tiny for the others. */
    static List<EfficiencyModels> generating(Setup setup) {
        return of(setup.by(64, 128, 2048), setup.by(2, 4, 48), vocabulary(setup), false);
    }

    /** Whether it cannot read tokens but one after the other. */
    boolean recurrent() {
        return row.json().contains("\"rnn\"");
    }

    private static int vocabulary(Setup setup) {
        return setup.by(SMALL_VOCABULARY, SMALL_VOCABULARY, VOCABULARY);
    }

    /**
     * @param d width
     * @param blocks of a Mamba
     * @param all with MemMamba, LSTM and GRU
     */
    private static List<EfficiencyModels> of(int d, int blocks, int vocabulary, boolean all) {
        String sizes = String.format(Locale.ROOT, "'vocab_size':%d,'hidden_size':%d,", vocabulary, d);
        String mamba = sizes + "'num_hidden_layers':" + blocks;
        int feedForward = Math.ceilDiv(8 * d, 3 * 128) * 128;
        EfficiencyModels transformer = new EfficiencyModels(
                ModelRow.of(
                        "Transformer++",
                        "'model_type':'llama'," + sizes + "'num_hidden_layers':" + blocks / 2
                                + ",'num_attention_heads':" + d / 64 + ",'intermediate_size':" + feedForward
                                + ",'tie_word_embeddings':true"),
                false);
        EfficiencyModels plain = new EfficiencyModels(ModelRow.of("Mamba", "'model_type':'mamba'," + mamba), true);
        if (!all) {
            return List.of(plain, transformer);
        }
        // A block of a Mamba has about 6 d² numbers; a layer of an LSTM 8 d², of a GRU 6 d².
        return List.of(
                plain,
                new EfficiencyModels(ModelRow.of("MemMamba", "'model_type':'memmamba'," + mamba), false),
                transformer,
                new EfficiencyModels(recurrent("LSTM", "lstm", sizes, Math.max(1, blocks * 3 / 4)), false),
                new EfficiencyModels(recurrent("GRU", "gru", sizes, blocks), false));
    }

    private static ModelRow recurrent(String name, String cell, String sizes, int layers) {
        return ModelRow.of(
                name,
                "'model_type':'rnn'," + sizes + "'num_hidden_layers':" + layers + ",'cell':'" + cell
                        + "','residual':true,'tie_word_embeddings':true");
    }
}
