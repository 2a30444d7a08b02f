package org.mamba4j.torch.nn;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.ModelFingerprint;
import org.mamba4j.data.Batch;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.DeciMambaConfig;
import org.mamba4j.model.GptNeoxConfig;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.model.Mamba2Config;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MambaUNetConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.RecurrentConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorFiles;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * A language model as a training graph: embedding, blocks on a residual stream, norm, head. A subclass is a model family
 * and adds the blocks, the last norm and the initial values; what trains, stores and streams models is written on this
 * class. {@link #of} is the register of families: a new one is a configuration record, a subclass and a line there.
 *
 * <p>Shapes: B batch, L length, d model width, V vocabulary. Activations are channel-last; their type and the device are those of
 * the {@link MambaKernels}; token ids, targets and weights may lie on the CPU.
 *
 * <p>The parameters live outside of every scope until {@link #close}. All tensors that methods return belong to the
 * caller's {@link org.mamba4j.torch.TensorScope}. Not to be changed and used at once from two threads; forward passes
 * alone may run in any number.
 */
public abstract class LanguageNetwork implements AutoCloseable {
    /** Nobody wants to see what each block puts out. */
    static final Consumer<Tensor> UNOBSERVED = new Unobserved();

    /** See {@link #UNOBSERVED}. */
    record Unobserved() implements Consumer<Tensor> {
        @Override
        public void accept(Tensor each) {}
    }

    private static final long REDUCTION_NONE = 0;
    private static final long IGNORE_INDEX = -100;

    private final ModelConfig config;
    private final MambaKernels kernels;
    private final Parameters parameters;

    /** Parameters of the shapes that {@code config} lists, all zero: the subclass fills them. */
    LanguageNetwork(ModelConfig config, MambaKernels kernels) {
        this.config = config;
        this.kernels = kernels;
        this.parameters = new Parameters(config.parameters());
    }

    /** A model of any family, all its weights zero, on the CPU. */
    private static LanguageNetwork of(ModelConfig config, MambaKernels kernels) {
        return switch (config) {
            case MambaConfig mamba -> new Mamba(mamba, kernels);
            case MemMambaConfig memory -> new MemMamba(memory, kernels, new RankedSelection());
            case DeciMambaConfig decimating -> new DeciMamba(decimating, kernels);
            case Mamba2Config mamba2 -> new Mamba2(mamba2, kernels);
            case LlamaConfig llama -> new Llama(llama, kernels);
            case GptNeoxConfig neox -> new GptNeox(neox, kernels);
            case RecurrentConfig recurrent -> new Recurrent(recurrent, kernels);
            case ComposedConfig composed -> new Composed(composed, kernels);
            case MambaUNetConfig unet -> new MambaUNet(unet, kernels);
        };
    }

    /**
     * A new model of any family with its initial values.
     *
     * @param seed what they are drawn from; the same seed gives the same model
     */
    public static LanguageNetwork create(ModelConfig config, MambaKernels kernels, long seed) {
        LanguageNetwork model = of(config, kernels);
        model.initialise(seed);
        return model;
    }

    /** A model of any family with the weights of a checkpoint, which are copied. */
    public static LanguageNetwork load(Checkpoint checkpoint, MambaKernels kernels) {
        LanguageNetwork model = of(checkpoint.config(), kernels);
        model.fill(checkpoint);
        return model;
    }

    /**
     * A model of another family with copies of the weights that {@code source} has under the same names: a Mamba that reads
     * as a DeciMamba, a MemMamba without its memory.
     *
     * @throws UserError naming a weight that {@code source} does not have in that shape
     */
    public static LanguageNetwork copy(LanguageNetwork source, ModelConfig config) {
        LanguageNetwork copy = of(config, source.kernels());
        try {
            for (Parameter parameter : copy.parameters()) {
                Tensor from = source.weights().get(parameter.name());
                if (!from.defined()
                        || !Arrays.equals(from.shape(), parameter.tensor().shape())) {
                    throw new UserError("a " + config.modelType() + " needs \"" + parameter.name() + "\" "
                            + Tensors.shape(parameter.tensor()) + ", which this "
                            + source.config().modelType() + " does not have");
                }
                NoGrad.run(() -> TensorScope.run(
                        () -> parameter.tensor().copy_(from.detach().cpu())));
            }
            copy.moveToDevice();
            return copy;
        } catch (RuntimeException e) {
            copy.close();
            throw e;
        }
    }

    /** The configuration that it was made for. */
    public ModelConfig config() {
        return config;
    }

    /** All trained tensors, in the order of the forward pass. */
    public Collection<Parameter> parameters() {
        return parameters.all();
    }

    /** How many numbers are trained; a tied head counts once. */
    public long parameterCount() {
        return parameters.count();
    }

    /** Where and how it computes. */
    public final MambaKernels kernels() {
        return kernels;
    }

    /** Gives the parameters, which are on the CPU, their initial values. */
    abstract void fillInitially(long seed);

    /** Fills the parameters with their initial values and moves them to the device. */
    final void initialise(long seed) {
        fillInitially(seed);
        moveToDevice();
    }

    private void moveToDevice() {
        Devices.use(kernels.device());
        parameters.moveTo(kernels.device());
    }

    /** Copies the weights of {@code checkpoint}, which must be of this configuration. */
    final void fill(Checkpoint checkpoint) {
        for (Parameter parameter : parameters()) {
            String name = parameter.name();
            TensorFiles.fill(parameter.tensor(), checkpoint.info(name).dtype(), checkpoint.data(name));
        }
        moveToDevice();
    }

    /**
     * Writes config.json and model.safetensors, which Hugging Face transformers reads; see {@link Checkpoint#write}.
     *
     * @throws org.mamba4j.UserError if a file cannot be written
     */
    public void save(Path folder) {
        Checkpoint.write(
                folder,
                config,
                parameters().stream()
                        .map(parameter -> TensorFiles.toWrite(parameter.name(), parameter.tensor()))
                        .toList());
    }

    /** @throws UserError naming the first parameter that holds NaN or an infinity, if one does */
    public void checkNumbers() {
        for (Parameter parameter : parameters()) {
            boolean numbers =
                    TensorScope.call(() -> parameter.tensor().isfinite().all().item_bool());
            if (!numbers) {
                throw new UserError("tensor \"" + parameter.name() + "\" holds NaN or infinity: the model's weights are"
                        + " damaged or its training diverged; use an earlier checkpoint");
            }
        }
    }

    /** Tells this model's present weights from others; see {@link ModelFingerprint}. */
    public String fingerprint() {
        return ModelFingerprint.of(config, (name, index) -> number(parameters.get(name), index));
    }

    private static float number(Tensor tensor, long index) {
        return tensor.is_cuda()
                ? TensorScope.call(
                        () -> tensor.detach().view(-1).select(0, index).item_float())
                : Tensors.segment(tensor).getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    /**
     * Logits of the token after each one.
     *
     * @param ids (B, L) int64 in [0, V)
     * @return (B, L, V)
     */
    public Tensor forward(Tensor ids) {
        return checked(() -> logits(hidden(ids, Carry.NONE, UNOBSERVED)));
    }

    /**
     * The same where only the last of them will be read: a family that may leaves out what they do not need.
     *
     * @param ids (B, L) int64 in [0, V)
     * @param wanted positions at the end, at least 1
     * @return (B, L, V), of which the last {@code wanted} positions count
     */
    public Tensor forward(Tensor ids, long wanted) {
        return checked(() -> logits(hidden(ids, Carry.wanting(wanted), UNOBSERVED)));
    }

    /**
     * The residual stream after each block, and last the normalised output that the head reads: nLayer + 1 tensors (B, L,
     * d), as {@code output_hidden_states} of Hugging Face transformers 5 gives them.
     *
     * @param ids (B, L) int64 in [0, V)
     */
    public List<Tensor> hiddenStates(Tensor ids) {
        List<Tensor> all = new ArrayList<>();
        return checked(() -> {
            all.add(hidden(ids, Carry.NONE, all::add));
            return all;
        });
    }

    /**
     * Mean cross entropy in nats over all positions.
     *
     * @param ids (B, L) int64 in [0, V)
     * @param targets the token after each one (B, L) int64; -100 leaves a position out
     * @return a scalar
     */
    public Tensor loss(Tensor ids, Tensor targets) {
        return checked(() -> crossEntropy(forward(ids), targets));
    }

    /**
     * Weighted sum of the cross entropy in nats.
     *
     * @param ids (B, L) int64 in [0, V)
     * @param targets the token after each one (B, L) int64
     * @param weights of each position (B, L) float32
     * @return a scalar: Σ weight · cross entropy
     */
    public Tensor loss(Tensor ids, Tensor targets, Tensor weights) {
        return checked(() -> crossEntropy(forward(ids), targets, weights));
    }

    /** The loss of {@code logits} (B, L, V) as {@link #loss(Tensor, Tensor)} defines it. */
    final Tensor crossEntropy(Tensor logits, Tensor targets) {
        return torch.cross_entropy_loss(rows(logits), here(targets).reshape(-1));
    }

    /** The loss of {@code logits} (B, L, V) as {@link #loss(Tensor, Tensor, Tensor)} defines it. */
    final Tensor crossEntropy(Tensor logits, Tensor targets, Tensor weights) {
        return each(logits, targets).mul(here(weights).reshape(-1)).sum();
    }

    /** The cross entropy of each position (B·L), in nats. */
    private Tensor each(Tensor logits, Tensor targets) {
        return torch.cross_entropy_loss(
                rows(logits), here(targets).reshape(-1), new TensorOptional(), REDUCTION_NONE, IGNORE_INDEX, 0.0);
    }

    /** -log2 of the probability of each target (B·L), however the batch weights them. */
    public float[] bits(Batch batch) {
        return NoGrad.call(() -> TensorScope.call(() -> {
            Tensor logits = forward(Tensors.ofTokens(batch.inputs(), 0, batch.rows(), batch.length()));
            Tensor targets = Tensors.ofTokens(batch.targets(), 0, batch.rows(), batch.length());
            return Tensors.toFloats(each(logits, targets).div(new Scalar(Math.log(2))));
        }));
    }

    /** (B, L, V) → (B · L, V), float32. */
    private Tensor rows(Tensor logits) {
        return logits.view(-1, config.vocabSize()).to(ScalarType.Float);
    }

    /** {@code tensor} on the device of the parameters. */
    final Tensor here(Tensor tensor) {
        return Tensors.on(kernels.device(), tensor);
    }

    /**
     * The whole model but its head.
     *
     * @param ids (B, L)
     * @param carry where the sequence starts, and who wants to know where it ends
     * @param observer is shown the residual stream (B, L, d) after each block
     * @return what the head reads (B, L, d)
     */
    final Tensor hidden(Tensor ids, Carry carry, Consumer<Tensor> observer) {
        return finalNorm(blocks(embed(ids), carry, observer));
    }

    /** All blocks, one after another: (B, L, d) → (B, L, d); the other arguments are those of {@link #hidden}. */
    abstract Tensor blocks(Tensor x, Carry carry, Consumer<Tensor> observer);

    /** Whether it must see all that is read at once: cut in parts, the same text gives something else. */
    boolean needsWholeTexts() {
        return false;
    }

    /**
     * Whether a token looks at all those before it: read in parts, a text then costs more than all at once, as each part needs a
     * mask.
     */
    boolean looksBack() {
        return false;
    }

    /**
     * Whether a pass over batches of one form is the same operations each time, whatever they hold, and waits for no result:
     * only such work can be recorded and replayed.
     */
    public boolean isRecordable() {
        return true;
    }

    /** What one block of several, named by its number, does: (B, L, d) → (B, L, d). */
    @FunctionalInterface
    interface Step {
        Tensor apply(int index, Tensor x);
    }

    /**
     * The blocks from {@code first} to before {@code end}, each on what the one before puts out; what a block leaves behind on
     * its way is freed at its end.
     *
     * @param start (B, L, d)
     * @param observer is shown what each block puts out
     * @return (B, L, d)
     */
    static Tensor oneAfterAnother(int first, int end, Tensor start, Consumer<Tensor> observer, Step step) {
        Tensor x = start; // (B, L, d)
        for (int i = first; i < end; i++) {
            try (TensorScope scope = TensorScope.temporaries()) {
                x = scope.promote(step.apply(i, x)); // (B, L, d)
            }
            observer.accept(x);
        }
        return x;
    }

    /** (B, L) → (B, L, d). */
    final Tensor embed(Tensor ids) {
        return torch.embedding(parameters.get(config.embedding().name()), here(ids));
    }

    /** What comes between the last block and the head: (B, L, d) → (B, L, d). */
    abstract Tensor finalNorm(Tensor x);

    /** The head: (B, L, d) → (B, L, V), in the type of the activations. */
    final Tensor logits(Tensor hidden) {
        return kernels.linear(hidden, parameters.get(config.head().name()), Tensors.absent());
    }

    /** The tensors by name. */
    final Parameters weights() {
        return parameters;
    }

    /** RMSNorm over the last dimension (d) of {@code x}. */
    static Tensor rmsNorm(Tensor x, Tensor weight, double epsilon) {
        return torch.rms_norm(x, new long[] {weight.size(0)}, new TensorOptional(weight), new DoubleOptional(epsilon));
    }

    /** x · weightᵀ + bias, without the latter where it is absent. */
    static Tensor linear(Tensor x, Tensor weight, Tensor bias) {
        return bias.defined() ? torch.linear(x, weight, new TensorOptional(bias)) : torch.linear(x, weight);
    }

    /** Runs {@code computation}; libtorch's exceptions become ours. */
    final <T> T checked(Supplier<T> computation) {
        try {
            Devices.use(kernels.device());
            return computation.get();
        } catch (RuntimeException e) {
            throw Torch.translate(config.modelType() + " forward", e);
        }
    }

    /** Frees the parameters and their gradients. */
    @Override
    public void close() {
        parameters.close();
    }
}
