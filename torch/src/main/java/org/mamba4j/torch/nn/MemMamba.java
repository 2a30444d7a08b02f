package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * MemMamba [1] as a training graph: a Mamba whose layers take notes of the text and read them.
 *
 * <p>A block is x̄ = x + what the layer's {@link Memory} read, then x̄ + mixer(RMSNorm(x̄)) as in {@link Mamba}. The
 * recurrence forgets exponentially; a note stays as it was written until a more important one takes its place, so a
 * token can be answered from any distance, at a cost per token that does not depend on it.
 *
 * <p>Trade-offs: which tokens are noted is a hard choice without a gradient, so training needs help ({@link
 * MemoryTraining}); notes become readable at the end of their chunk only, which is what makes a whole sequence one
 * batched product; within a chunk the recurrence has to do.
 *
 * <p>Reference: [1] MemMamba, arXiv 2510.03279. What it leaves open is fixed in docs/memmamba.md.
 */
public final class MemMamba extends LanguageNetwork {
    private final MemMambaConfig config;
    private final List<MambaBlock> blocks = new ArrayList<>();
    private final Map<Integer, Memory> memories = new TreeMap<>();

    MemMamba(MemMambaConfig config, MambaKernels kernels, NoteSelection selection) {
        super(config, kernels);
        this.config = config;
        for (int i = 0; i < config.nLayer(); i++) {
            blocks.add(new MambaBlock(config.mamba(), kernels, weights(), i));
            if (config.takesNotes(i)) {
                memories.put(i, new Memory(config, selection, weights(), i));
            }
        }
    }

    /**
     * A new model with the initial values of a {@link Mamba} of the same seed, which it at first computes, and open gates.
     *
     * @param seed what they are drawn from; the same seed gives the same model
     */
    public static MemMamba create(MemMambaConfig config, MambaKernels kernels, long seed) {
        return create(config, kernels, new RankedSelection(), seed);
    }

    static MemMamba create(MemMambaConfig config, MambaKernels kernels, NoteSelection selection, long seed) {
        MemMamba model = new MemMamba(config, kernels, selection);
        model.initialise(seed);
        return model;
    }

    /**
     * A model with the weights of a checkpoint, which are copied.
     *
     * @throws UserError if the checkpoint holds another kind of model
     */
    public static MemMamba load(Checkpoint checkpoint, MambaKernels kernels) {
        if (!(checkpoint.config() instanceof MemMambaConfig config)) {
            throw new UserError(checkpoint.folder() + " holds a model of type "
                    + checkpoint.config().modelType() + ", not memmamba");
        }
        MemMamba model = new MemMamba(config, kernels, new RankedSelection());
        model.fill(checkpoint);
        return model;
    }

    @Override
    void fillInitially(long seed) {
        new MambaInit(config.mamba()).fill(weights(), seed);
        new MemoryInit(config).fill(weights(), seed);
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return rmsNorm(
                x, weights().get("backbone.norm_f.weight"), config.mamba().normEpsilon());
    }

    /** By autograd it takes notes as the host says, batch by batch. */
    @Override
    public boolean isRecordable() {
        return false;
    }

    @Override
    public MemMambaConfig config() {
        return config;
    }

    /**
     * Logits of the token after each one, with notes taken as training wants them.
     *
     * @param ids (B, L) int64 in [0, V)
     * @return (B, L, V)
     */
    public Tensor forward(Tensor ids, MemoryTraining training) {
        return checked(() -> logits(finalNorm(blocks(embed(ids), Carry.NONE, each -> {}, training))));
    }

    /** The loss of {@link #loss(Tensor, Tensor)}, with notes taken as training wants them and without their price. */
    public Tensor loss(Tensor ids, Tensor targets, MemoryTraining training) {
        return checked(() -> crossEntropy(forward(ids, training), targets));
    }

    /**
     * The loss of {@link #loss(Tensor, Tensor, Tensor)}, with notes taken as training wants them and without their price.
     */
    public Tensor loss(Tensor ids, Tensor targets, Tensor weights, MemoryTraining training) {
        return checked(() -> crossEntropy(forward(ids, training), targets, weights));
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        return blocks(embedded, carry, observer, NotePolicy.inference(config.memory()));
    }

    /** Runs the blocks of a whole sequence, notes taken as {@code policy} has it; {@code observer} as in {@link #hidden}. */
    void study(Tensor embedded, Consumer<Tensor> observer, NotePolicy policy) {
        blocks(embedded, Carry.NONE, observer, policy);
    }

    MambaBlock block(int layer) {
        return blocks.get(layer);
    }

    /** By layer, of those that have one. */
    Map<Integer, Memory> memories() {
        return memories;
    }

    private Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer, NotePolicy policy) {
        Tensor x = embedded; // (B, L, d)
        Map<Integer, NotePools> pools = new TreeMap<>();
        for (int i = 0; i < blocks.size(); i++) {
            try (TensorScope layer = TensorScope.temporaries()) {
                Tensor fused = withNotes(i, x, carry, pools, policy, layer); // (B, L, d)
                policy.seesMixerInput(i, fused, layer);
                x = layer.promote(blocks.get(i).forward(fused, carry)); // (B, L, d)
            }
            observer.accept(x);
        }
        return x;
    }

    /** x̄: (B, L, d) → (B, L, d). */
    private Tensor withNotes(
            int i, Tensor x, Carry carry, Map<Integer, NotePools> pools, NotePolicy policy, TensorScope layer) {
        Memory memory = memories.get(i);
        if (memory == null || x.size(1) == 0) {
            return x;
        }
        if (memory.isStep(x, carry, policy)) {
            return memory.step(x, carry);
        }
        List<NotePools> lower = config.readsBelow(i)
                ? config.layersBelow(i).stream().map(pools::get).toList()
                : List.of();
        Memory.Result result = memory.forward(x, carry, lower, policy);
        if (policy.observes()) {
            policy.observe(i, result.activity(), layer);
        }
        layer.promote(result.pools().summaries()); // layers above may read them
        layer.promote(result.pools().logGates());
        pools.put(i, result.pools());
        return result.x();
    }
}
