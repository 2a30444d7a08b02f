package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.CudaCrossEntropy;
import org.mamba4j.torch.kernel.CudaEmbedding;
import org.mamba4j.torch.kernel.CudaRmsNorm;
import org.mamba4j.torch.kernel.MambaLayerPass;
import org.mamba4j.torch.kernel.MambaLayerPass.ResidualGradient;
import org.mamba4j.torch.kernel.MemoryLayerPass;
import org.mamba4j.torch.kernel.NormedStream;
import org.mamba4j.torch.kernel.Products;
import org.mamba4j.torch.kernel.TrainedWeight;

/**
 * Loss and gradients of a {@link Mamba}, or of a {@link MemMamba} of the usual form, on a GPU in one sweep forward and one
 * backward, without libtorch's autograd: the same function as {@link LanguageNetwork#loss}, with which tests compare it. See
 * {@link MambaLayerPass} for why.
 *
 * <p>Logits are made, turned into their own gradient and used up in pieces of at most {@value #LOGITS_AT_ONCE} values, so a
 * large vocabulary costs no more memory than a few layers do.
 *
 * <p>Parameters keep their float32 values. Where activations are narrower, the matrices have a copy in their type, which
 * {@link #refresh} makes and an optimiser keeps up to date.
 */
public final class MambaPass implements AutoCloseable {
    private static final long LOGITS_AT_ONCE = 1L << 29;
    private static final Tensor ABSENT = Tensors.absent();

    private final MambaConfig config;
    private final ScalarType type;
    private final boolean recompute;
    private final Map<String, TrainedWeight> weights = new LinkedHashMap<>();
    private final List<MambaLayerPass> layers;
    private final Memories memories;

    /**
     * @param network on a GPU, {@link #covers covered}; each of its parameters has a gradient
     * @param recompute whether to keep only the residual stream of each layer, and run each layer's forward pass again on
     *     the way back: less memory, a third more time
     */
    public MambaPass(LanguageNetwork network, boolean recompute) {
        this.config = MemoryProbe.stack(network).mamba();
        this.type = network.kernels().activations();
        this.recompute = recompute;
        try (TensorScope scope = new TensorScope()) {
            for (Parameter parameter : network.parameters()) {
                Tensor value = scope.release(parameter.tensor().detach());
                Tensor compute = isFactor(parameter.name()) && type != ScalarType.Float
                        ? scope.release(Tensors.emptyLike(value, type, value.shape()))
                        : value;
                weights.put(
                        parameter.name(),
                        new TrainedWeight(
                                value, compute, scope.release(parameter.tensor().grad())));
            }
        }
        this.layers = IntStream.range(0, config.nLayer())
                .mapToObj(i -> new MambaLayerPass(config, type, layer("backbone.layers." + i + ".")))
                .toList();
        this.memories = Memories.of(network, type, this::weight);
        refresh();
    }

    /** Whether this network can be trained by this class: a MemMamba only with what the paper has. */
    public static boolean covers(LanguageNetwork network) {
        return switch (network) {
            case Mamba mamba -> mamba.kernels().isCuda();
            case MemMamba memory ->
                memory.kernels().isCuda()
                        && MemoryLayerPass.covers(memory.config().memory());
            default -> false;
        };
    }

    /** The memories of the layers, none in a Mamba. */
    public Memories memories() {
        return memories;
    }

    /** Whether matrix products take the parameter of this name. */
    private static boolean isFactor(String name) {
        return name.contains("_proj.weight")
                || name.contains("in_proj.bias")
                || name.contains("out_proj.bias")
                || name.endsWith("embeddings.weight")
                || name.equals("lm_head.weight");
    }

    private MambaLayerPass.Weights layer(String name) {
        return new MambaLayerPass.Weights(
                weight(name + "norm.weight"),
                weight(name + "mixer.in_proj.weight"),
                weight(name + "mixer.in_proj.bias"),
                weight(name + "mixer.conv1d.weight"),
                weight(name + "mixer.conv1d.bias"),
                weight(name + "mixer.x_proj.weight"),
                weight(name + "mixer.dt_proj.weight"),
                weight(name + "mixer.dt_proj.bias"),
                weight(name + "mixer.A_log"),
                weight(name + "mixer.D"),
                weight(name + "mixer.out_proj.weight"),
                weight(name + "mixer.out_proj.bias"));
    }

    private TrainedWeight weight(String name) {
        return weights.getOrDefault(name, TrainedWeight.ABSENT);
    }

    /** The parameters by name, with the copies that matrix products read. */
    public Map<String, TrainedWeight> weights() {
        return java.util.Collections.unmodifiableMap(weights);
    }

    /** Copies the parameters' values to where matrix products read them, after something else than the optimiser set them. */
    public void refresh() {
        NoGrad.run(() -> TensorScope.run(() -> weights.values().stream()
                .filter(TrainedWeight::isCopied)
                .forEach(weight -> weight.compute().copy_(weight.value()))));
    }

    /**
     * One sweep. Nothing waits for the GPU.
     *
     * @param ids (B, L) int64 on the GPU
     * @param targets (B, L) int64 on the GPU; -100 leaves a position out
     * @param positionWeights (B, L) float32 on the GPU; absent if all count the same
     * @param loss one float32 number on the GPU: the loss is written there
     * @param add whether to add to the parameters' gradients instead of overwriting them
     * @param ready is told the names of parameters, or the beginning they share, as soon as their gradients are complete
     */
    public void run(
            Tensor ids, Tensor targets, Tensor positionWeights, Tensor loss, boolean add, Consumer<String> ready) {
        NoGrad.run(() -> TensorScope.run(() -> sweep(ids, targets, positionWeights, loss, add, ready)));
    }

    private void sweep(
            Tensor ids, Tensor targets, Tensor positionWeights, Tensor loss, boolean add, Consumer<String> ready) {
        long batch = ids.size(0);
        Tensor tokens = ids.reshape(-1); // (M)
        TrainedWeight embedding = weight("backbone.embeddings.weight");
        List<Kept> kept = new ArrayList<>();
        Tensor embedded = Tensors.emptyLike(embedding.value(), ScalarType.Float, tokens.size(0), config.dModel());
        CudaEmbedding.forward(embedding.value(), tokens, embedded);
        MambaLayerPass.Residual x = new MambaLayerPass.Residual(embedded, ABSENT); // (M, d)
        Memories.Sweep notes = memories.sweep(ids.size(0), ids.size(1));
        for (int i = 0; i < layers.size(); i++) {
            MambaLayerPass layer = layers.get(i);
            int number = i;
            MambaLayerPass.Residual below = x;
            MambaLayerPass.Residual in = within(i, "forward, notes", ids, () -> notes.forward(number, below)); // (M, d)
            x = in;
            MambaLayerPass.Forward done = within(i, "forward", ids, () -> layer.forward(in, batch));
            kept.add(keep(x, done));
            x = done.residual();
        }
        ResidualGradient gradient = head(x, targets.reshape(-1), flat(positionWeights), loss, add); // (M, d)
        notes.settle(loss);
        ready.accept("backbone.norm_f.");
        ready.accept("lm_head.");
        for (int i = layers.size() - 1; i >= 0; i--) {
            MambaLayerPass layer = layers.get(i);
            Kept before = kept.get(i);
            ResidualGradient above = gradient;
            MambaLayerPass.Saved saved = within(i, "forward again", ids, () -> saved(before, layer, batch));
            ResidualGradient below = within(i, "backward", ids, () -> layer.backward(saved, above, batch, add));
            gradient.rounded().close();
            int number = i;
            gradient = within(i, "backward, notes", ids, () -> notes.backward(number, below, add));
            saved.close();
            ready.accept("backbone.layers." + i + ".");
        }
        boolean tied = !weight("lm_head.weight").value().defined();
        if (!add && !tied) {
            embedding.gradient().zero_();
        }
        Tensor workspace = CudaEmbedding.workspace(embedding.value(), tokens.size(0), config.dModel());
        CudaEmbedding.backward(gradient.exact(), tokens, embedding.gradient(), workspace);
        ready.accept("backbone.embeddings.");
    }

    /** Runs a part of the sweep; an error, of memory above all, says which part of what it was. */
    private <T> T within(int layer, String direction, Tensor ids, Supplier<T> part) {
        try {
            return part.get();
        } catch (RuntimeException e) {
            throw Torch.translate(
                    "layer " + (layer + 1) + " of " + layers.size() + ", " + direction + ", of " + ids.size(0) + " x "
                            + ids.size(1) + " tokens",
                    e);
        }
    }

    private static Tensor flat(Tensor tensor) {
        return tensor.defined() ? tensor.reshape(-1) : tensor;
    }

    /** What is kept of a layer until the sweep comes back: what it saved, or its input alone. */
    private record Kept(MambaLayerPass.Residual in, List<MambaLayerPass.Saved> saved) {}

    private Kept keep(MambaLayerPass.Residual in, MambaLayerPass.Forward done) {
        if (recompute) {
            done.saved().closeButX();
            return new Kept(in, List.of());
        }
        if (in.addend().defined()) {
            in.addend().close();
        }
        return new Kept(in, List.of(done.saved()));
    }

    private static MambaLayerPass.Saved saved(Kept kept, MambaLayerPass layer, long batch) {
        if (!kept.saved.isEmpty()) {
            return kept.saved.getFirst();
        }
        MambaLayerPass.Forward again = layer.forward(kept.in, batch);
        again.residual().addend().close();
        return again.saved();
    }

    /** Last norm, logits, loss and the way back to the residual stream. */
    private ResidualGradient head(
            MambaLayerPass.Residual x, Tensor targets, Tensor positionWeights, Tensor loss, boolean add) {
        try (TensorScope scope = new TensorScope()) {
            TrainedWeight norm = weight("backbone.norm_f.weight");
            TrainedWeight untied = weight("lm_head.weight");
            TrainedWeight head = untied.value().defined() ? untied : weight("backbone.embeddings.weight");
            CudaRmsNorm normalise = new CudaRmsNorm(norm.value(), config.normEpsilon());
            NormedStream last = NormedStream.of(x, normalise, type);
            Tensor gradNormed = Tensors.emptyLike(last.normed()); // (M, d)
            Tensor normaliser = Tensors.emptyLike(norm.value(), ScalarType.Float, 1);
            if (positionWeights.defined()) {
                normaliser.fill_(new Scalar(1.0f)); // a weighted loss is a sum, not a mean
            } else {
                CudaCrossEntropy.normaliser(targets, positionWeights, normaliser);
            }
            Tensor losses = Tensors.emptyLike(norm.value(), ScalarType.Float, targets.size(0));
            long rows = targets.size(0);
            long piece = Math.max(1, LOGITS_AT_ONCE / config.vocabSize());
            for (long from = 0; from < rows; from += piece) {
                long first = from;
                long count = Math.min(piece, rows - from);
                boolean addPiece = add || from > 0;
                TensorScope.run(() -> {
                    Tensor normed = last.normed().narrow(0, first, count);
                    Tensor logits = torch.mm(normed, head.compute().t()); // (count, V)
                    CudaCrossEntropy.differentiate(
                            logits,
                            targets.narrow(0, first, count),
                            positionWeights.defined() ? positionWeights.narrow(0, first, count) : ABSENT,
                            normaliser,
                            losses.narrow(0, first, count));
                    Products.weight(logits, normed, head.gradient(), addPiece);
                    Products.input(logits, head.compute(), gradNormed.narrow(0, first, count));
                });
            }
            CudaCrossEntropy.sum(losses, normaliser, loss);
            Tensor exact = Tensors.emptyLike(last.sum()); // (M, d)
            Tensor rounded = Tensors.emptyLike(last.normed()); // (M, d)
            Tensor workspace = CudaRmsNorm.workspace(exact, config.dModel());
            normalise.backward(
                    gradNormed,
                    last.sum(),
                    last.scale(),
                    new CudaRmsNorm.Gradients(ABSENT, exact, rounded, norm.gradient(), add, workspace));
            return new ResidualGradient(scope.promote(exact), scope.promote(rounded));
        }
    }

    /** Frees the copies. */
    @Override
    public void close() {
        memories.close();
        weights.values().forEach(weight -> {
            if (weight.isCopied()) {
                weight.compute().close();
            }
            weight.value().close();
            weight.gradient().close();
        });
    }
}
