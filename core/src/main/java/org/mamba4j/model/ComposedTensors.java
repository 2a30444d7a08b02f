package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;

/**
 * Names and shapes of what a composed model trains and remembers, part by part.
 *
 * <p>Parameters under {@code .ssm.} are those of a continuous state space: time steps, A, B, C and skip weight.
 */
record ComposedTensors(ComposedConfig config) {
    List<TensorSpec> parameters() {
        List<TensorSpec> all = new ArrayList<>();
        all.add(config.embedding());
        for (int i = 0; i < config.nLayer(); i++) {
            String layer = "backbone.layers." + i + ".";
            all.add(TensorSpec.of(layer + "norm.weight", config.dModel()));
            addMixer(config.layer(i), layer + "mixer.", all);
            if (config.mlp().equals("gated")) {
                addGatedMlp(layer, all);
            }
        }
        all.add(TensorSpec.of("backbone.norm_f.weight", config.dModel()));
        if (!config.tieEmbeddings()) {
            all.add(config.head());
        }
        return List.copyOf(all);
    }

    List<TensorSpec> state(long tokens) {
        List<TensorSpec> all = new ArrayList<>();
        for (int i = 0; i < config.nLayer(); i++) {
            String layer = "layers." + i + ".";
            addBlockState(config.layer(i), layer, all);
            addInnerState(config.layer(i), layer, tokens, all);
        }
        all.add(TensorSpec.of("last_hidden", config.dModel()));
        return List.copyOf(all);
    }

    private void addMixer(LayerParts parts, String mixer, List<TensorSpec> all) {
        long d = config.dModel();
        long inner = config.dInner();
        switch (config.block()) {
            case "plain" -> {
                addInner(parts, mixer, all);
                all.add(TensorSpec.of(mixer + "out_proj.weight", 2 * d, inner));
                all.add(TensorSpec.of(mixer + "out_proj.bias", 2 * d));
            }
            case "mamba" -> {
                all.add(TensorSpec.of(mixer + "in_proj.weight", 2 * inner, d));
                all.add(TensorSpec.of(mixer + "conv1d.weight", inner, 1, parts.dConv()));
                all.add(TensorSpec.of(mixer + "conv1d.bias", inner));
                addInner(parts, mixer, all);
                all.add(TensorSpec.of(mixer + "out_proj.weight", d, inner));
            }
            default -> addH3(parts, mixer, all);
        }
    }

    private void addH3(LayerParts parts, String mixer, List<TensorSpec> all) {
        long d = config.dModel();
        all.add(TensorSpec.of(mixer + "in_proj.weight", 3 * d, d));
        all.add(TensorSpec.of(mixer + "in_proj.bias", 3 * d));
        if (parts.filtersAll()) {
            all.add(TensorSpec.of(mixer + "conv1d.weight", 3 * d, 1, parts.dConv()));
            all.add(TensorSpec.of(mixer + "conv1d.bias", 3 * d));
        } else {
            all.add(TensorSpec.of(mixer + "shift.weight", d, parts.dConv()));
            all.add(TensorSpec.of(mixer + "shift.skip", d));
        }
        addInner(parts, mixer, all);
        all.add(TensorSpec.of(mixer + "out_proj.weight", d, d));
        all.add(TensorSpec.of(mixer + "out_proj.bias", d));
    }

    private void addHyena(String filter, List<TensorSpec> all) {
        long in = ComposedConfig.FILTER_FEATURES;
        for (int i = 0; i <= ComposedConfig.FILTER_LAYERS; i++) {
            all.add(TensorSpec.of(filter + i + ".weight", ComposedConfig.FILTER_WIDTH, in));
            all.add(TensorSpec.of(filter + i + ".bias", ComposedConfig.FILTER_WIDTH));
            in = ComposedConfig.FILTER_WIDTH;
        }
        all.add(TensorSpec.of(filter + "frequency", ComposedConfig.FILTER_WIDTH));
        all.add(TensorSpec.of(filter + "out.weight", config.dInner(), ComposedConfig.FILTER_WIDTH));
        all.add(TensorSpec.of(filter + "skip", config.dInner()));
    }

    private void addInner(LayerParts parts, String mixer, List<TensorSpec> all) {
        switch (parts.innerLayer()) {
            case "s6" -> addS6(parts, mixer, all);
            case "s4", "s4d" -> addLinear(parts, mixer + "ssm.", all);
            default -> addHyena(mixer + "filter.", all);
        }
    }

    private void addS6(LayerParts parts, String mixer, List<TensorSpec> all) {
        long inner = config.dInner();
        long states = parts.dState();
        long rows = (parts.isDeltaSelective() ? config.dtRank() : 0)
                + (parts.isBSelective() ? states : 0)
                + (parts.isCSelective() ? states : 0);
        if (rows > 0) {
            all.add(TensorSpec.of(mixer + "x_proj.weight", rows, inner));
        }
        if (parts.isDeltaSelective()) {
            all.add(TensorSpec.of(mixer + "dt_proj.weight", inner, config.dtRank()));
        }
        all.add(TensorSpec.of(mixer + "dt_proj.bias", inner));
        all.add(TensorSpec.of(mixer + "A_log", inner, parts.modes()));
        if (parts.isComplex()) {
            all.add(TensorSpec.of(mixer + "A_imag", inner, parts.modes()));
        }
        if (!parts.isBSelective()) {
            all.add(TensorSpec.of(mixer + "B", inner, states));
        }
        if (!parts.isCSelective()) {
            all.add(TensorSpec.of(mixer + "C", inner, states));
        }
        all.add(TensorSpec.of(mixer + "D", inner));
    }

    /** B, C and P have real and imaginary parts in turn where they are complex; S4D's B is 1, and it has no P. */
    private void addLinear(LayerParts parts, String ssm, List<TensorSpec> all) {
        long inner = config.dInner();
        all.add(TensorSpec.of(ssm + "log_dt", inner));
        all.add(TensorSpec.of(ssm + "A_log", inner, parts.modes()));
        if (parts.isComplex()) {
            all.add(TensorSpec.of(ssm + "A_imag", inner, parts.modes()));
        }
        if (parts.innerLayer().equals("s4")) {
            all.add(TensorSpec.of(ssm + "P", inner, parts.dState()));
            all.add(TensorSpec.of(ssm + "B", inner, parts.dState()));
        }
        all.add(TensorSpec.of(ssm + "C", inner, parts.dState()));
        all.add(TensorSpec.of(ssm + "D", inner));
    }

    private void addGatedMlp(String layer, List<TensorSpec> all) {
        all.add(TensorSpec.of(layer + "norm2.weight", config.dModel()));
        all.add(TensorSpec.of(layer + "mlp.fc1.weight", 2L * config.dMlp(), config.dModel()));
        all.add(TensorSpec.of(layer + "mlp.fc2.weight", config.dModel(), config.dMlp()));
    }

    private void addBlockState(LayerParts parts, String layer, List<TensorSpec> all) {
        if (!config.block().equals("plain")) {
            long filtered = parts.filtersAll() ? 3L * config.dModel() : config.dInner();
            all.add(TensorSpec.of(layer + "conv", filtered, parts.dConv() - 1));
        }
    }

    /** @param tokens read before: a long convolution needs its inputs at all of them */
    private void addInnerState(LayerParts parts, String layer, long tokens, List<TensorSpec> all) {
        all.add(
                parts.innerLayer().equals("hyena")
                        ? TensorSpec.of(layer + "inputs", 1, tokens, config.dInner())
                        : TensorSpec.of(layer + "ssm", config.dInner(), parts.dState()));
    }
}
