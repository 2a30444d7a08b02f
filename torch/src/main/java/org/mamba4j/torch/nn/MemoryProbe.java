package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.model.MambaStack;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * Looks into a network while it reads: what each layer puts out, what its recurrence is made of, what its memory thinks of
 * each token. For studies; nothing of it is needed to train or to run a model.
 *
 * @param embedded what the first layer reads (B, L, d)
 * @param layers from the first on
 */
public record MemoryProbe(Tensor embedded, List<Layer> layers) {
    /**
     * One layer, float32.
     *
     * @param output the residual stream after it (B, L, d)
     * @param steps Δ (B, L, D)
     * @param b B of the recurrence (B, L, N)
     * @param c C of the recurrence (B, L, N)
     * @param a A of the recurrence (D, N), negative
     * @param notes of its memory: one, or none where it has no memory
     */
    public record Layer(Tensor output, Tensor steps, Tensor b, Tensor c, Tensor a, List<Notes> notes) {
        /** That of the first sequence. */
        public LayerView.Recurrence recurrence() {
            return new LayerView.Recurrence(
                    steps.select(0, 0),
                    b.select(0, 0).unsqueeze(1),
                    c.select(0, 0).unsqueeze(1),
                    a);
        }
    }

    /**
     * A layer's memory.
     *
     * @param score importance of each token (B, L)
     * @param threshold a token is noted when its score is greater
     * @param gate how much each token reads of the layer's notes (B, L), or absent
     * @param gateBelow how much it reads of notes of layers below (B, L), or absent
     * @param attention share of attention that notes of the layer got, NaN where they are not read
     * @param attentionBelow share of attention that notes of layers below got, NaN where they are not read
     */
    public record Notes(
            Tensor score, double threshold, Tensor gate, Tensor gateBelow, double attention, double attentionBelow) {}

    /** What is collected of a layer before its output is known. */
    private record Part(Tensor steps, Tensor b, Tensor c, Tensor a, List<Notes> notes) {
        /** New handles, which do not hang on the vectors that a split gives. */
        static Part of(MambaBlock block, Tensor mixerInput, List<Notes> notes) {
            MambaBlock.Selected s = block.select(mixerInput, Carry.NONE);
            return new Part(block.steps(s), floats(s.b()), floats(s.c()), floats(s.a()), notes);
        }

        Layer with(Tensor output) {
            return new Layer(output, steps, b, c, a, notes);
        }
    }

    /**
     * Runs {@code network} as at inference, over sequences from their beginning.
     *
     * @param ids (B, L) int64 in [0, V)
     */
    public static MemoryProbe of(LanguageNetwork network, Tensor ids) {
        return network.checked(() -> {
            Tensor embedded = network.embed(ids);
            return new MemoryProbe(
                    embedded,
                    switch (network) {
                        case Mamba mamba -> ofMamba(mamba, embedded);
                        case MemMamba memory -> ofMemMamba(memory, embedded);
                        default -> throw new IllegalStateException("no layers of " + stack(network));
                    });
        });
    }

    /**
     * The configuration of the layers that can be looked into.
     *
     * @throws UserError if the network has others
     */
    public static MambaStack stack(LanguageNetwork network) {
        if (network.config() instanceof MambaStack stack) {
            return stack;
        }
        throw new UserError("only the layers of a Mamba or MemMamba can be looked into, not those of a model of type "
                + network.config().modelType());
    }

    private static List<Layer> ofMamba(Mamba network, Tensor embedded) {
        List<Layer> layers = new ArrayList<>();
        Tensor[] input = {embedded};
        network.blocks(embedded, Carry.NONE, output -> {
            layers.add(
                    Part.of(network.block(layers.size()), input[0], List.of()).with(output));
            input[0] = output;
        });
        return layers;
    }

    private static List<Layer> ofMemMamba(MemMamba network, Tensor embedded) {
        Study study = new Study(network, embedded);
        network.study(embedded, study, study);
        return study.layers;
    }

    private static Tensor floats(Tensor tensor) {
        return tensor.to(ScalarType.Float);
    }

    /** Watches the blocks of a MemMamba from both sides: what enters a mixer, and what leaves the layer. */
    private static final class Study extends NotePolicy.Watched implements Consumer<Tensor> {
        private final MemMamba network;
        private final List<Layer> layers = new ArrayList<>();
        private Tensor input;
        private List<Notes> notes = List.of();
        private List<Part> part = List.of();

        Study(MemMamba network, Tensor embedded) {
            super(network.config().memory());
            this.network = network;
            this.input = embedded;
        }

        @Override
        public void observe(int index, LayerActivity activity, TensorScope layer) {
            Memory.Look look =
                    Objects.requireNonNull(network.memories().get(index)).look(input);
            notes = List.of(new Notes(
                    layer.promote(look.score()),
                    Tensors.toFloats(look.threshold())[0],
                    promoted(look.gate(), layer),
                    promoted(look.gateBelow(), layer),
                    value(activity.attentionOnNotes()),
                    value(activity.attentionBelow())));
        }

        @Override
        public void seesMixerInput(int index, Tensor x, TensorScope layer) {
            Part looked = Part.of(network.block(index), x, notes);
            List.of(looked.steps(), looked.b(), looked.c(), looked.a()).forEach(layer::promote);
            part = List.of(looked);
            notes = List.of();
        }

        @Override
        public void accept(Tensor output) {
            layers.add(part.getFirst().with(output));
            input = output;
        }

        private static Tensor promoted(Tensor gate, TensorScope layer) {
            return gate.defined() ? layer.promote(floats(gate).squeeze(2)) : gate;
        }

        private static double value(Tensor scalar) {
            return scalar.defined() ? scalar.to(ScalarType.Float).item_float() : Double.NaN;
        }
    }
}
