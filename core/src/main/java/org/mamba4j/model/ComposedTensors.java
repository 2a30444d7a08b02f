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
            addMixer(layer + "mixer.", all);
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
            addBlockState(layer, all);
            addInnerState(layer, tokens, all);
        }
        all.add(TensorSpec.of("last_hidden", config.dModel()));
        return List.copyOf(all);
    }

    private void addMixer(String mixer, List<TensorSpec> all) {
        long d = config.dModel();
        long inner = config.dInner();
        switch (config.block()) {
            case "plain" -> {
                addInner(mixer, all);
                all.add(TensorSpec.of(mixer + "out_proj.weight", 2 * d, inner));
                all.add(TensorSpec.of(mixer + "out_proj.bias", 2 * d));
            }
            case "mamba" -> {
                all.add(TensorSpec.of(mixer + "in_proj.weight", 2 * inner, d));
                all.add(TensorSpec.of(mixer + "conv1d.weight", inner, 1, config.dConv()));
                all.add(TensorSpec.of(mixer + "conv1d.bias", inner));
                addInner(mixer, all);
                all.add(TensorSpec.of(mixer + "out_proj.weight", d, inner));
            }
            default -> addH3(mixer, all);
        }
    }

    private void addH3(String mixer, List<TensorSpec> all) {
        long d = config.dModel();
        all.add(TensorSpec.of(mixer + "in_proj.weight", 3 * d, d));
        all.add(TensorSpec.of(mixer + "in_proj.bias", 3 * d));
        if (config.filtersAll()) {
            all.add(TensorSpec.of(mixer + "conv1d.weight", 3 * d, 1, config.dConv()));
            all.add(TensorSpec.of(mixer + "conv1d.bias", 3 * d));
        } else {
            all.add(TensorSpec.of(mixer + "shift.weight", d, config.dConv()));
            all.add(TensorSpec.of(mixer + "shift.skip", d));
        }
        addInner(mixer, all);
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

    private void addInner(String mixer, List<TensorSpec> all) {
        switch (config.innerLayer()) {
            case "s6" -> addS6(mixer, all);
            case "s4", "s4d" -> addLinear(mixer + "ssm.", all);
            default -> addHyena(mixer + "filter.", all);
        }
    }

    private void addS6(String mixer, List<TensorSpec> all) {
        long inner = config.dInner();
        long states = config.dState();
        long rows = (config.isDeltaSelective() ? config.dtRank() : 0)
                + (config.isBSelective() ? states : 0)
                + (config.isCSelective() ? states : 0);
        if (rows > 0) {
            all.add(TensorSpec.of(mixer + "x_proj.weight", rows, inner));
        }
        if (config.isDeltaSelective()) {
            all.add(TensorSpec.of(mixer + "dt_proj.weight", inner, config.dtRank()));
        }
        all.add(TensorSpec.of(mixer + "dt_proj.bias", inner));
        all.add(TensorSpec.of(mixer + "A_log", inner, config.modes()));
        if (config.isComplex()) {
            all.add(TensorSpec.of(mixer + "A_imag", inner, config.modes()));
        }
        if (!config.isBSelective()) {
            all.add(TensorSpec.of(mixer + "B", inner, states));
        }
        if (!config.isCSelective()) {
            all.add(TensorSpec.of(mixer + "C", inner, states));
        }
        all.add(TensorSpec.of(mixer + "D", inner));
    }

    /** B, C and P have real and imaginary parts in turn where they are complex; S4D's B is 1, and it has no P. */
    private void addLinear(String ssm, List<TensorSpec> all) {
        long inner = config.dInner();
        all.add(TensorSpec.of(ssm + "log_dt", inner));
        all.add(TensorSpec.of(ssm + "A_log", inner, config.modes()));
        if (config.isComplex()) {
            all.add(TensorSpec.of(ssm + "A_imag", inner, config.modes()));
        }
        if (config.innerLayer().equals("s4")) {
            all.add(TensorSpec.of(ssm + "P", inner, config.dState()));
            all.add(TensorSpec.of(ssm + "B", inner, config.dState()));
        }
        all.add(TensorSpec.of(ssm + "C", inner, config.dState()));
        all.add(TensorSpec.of(ssm + "D", inner));
    }

    private void addGatedMlp(String layer, List<TensorSpec> all) {
        all.add(TensorSpec.of(layer + "norm2.weight", config.dModel()));
        all.add(TensorSpec.of(layer + "mlp.fc1.weight", 2L * config.dMlp(), config.dModel()));
        all.add(TensorSpec.of(layer + "mlp.fc2.weight", config.dModel(), config.dMlp()));
    }

    private void addBlockState(String layer, List<TensorSpec> all) {
        if (!config.block().equals("plain")) {
            long filtered = config.filtersAll() ? 3L * config.dModel() : config.dInner();
            all.add(TensorSpec.of(layer + "conv", filtered, config.dConv() - 1));
        }
    }

    /** @param tokens read before: a long convolution needs its inputs at all of them */
    private void addInnerState(String layer, long tokens, List<TensorSpec> all) {
        all.add(
                config.innerLayer().equals("hyena")
                        ? TensorSpec.of(layer + "inputs", 1, tokens, config.dInner())
                        : TensorSpec.of(layer + "ssm", config.dInner(), config.dState()));
    }
}
