package org.mamba4j.torch.decode;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Requests;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.Precision;

/**
 * Continues many prompts at once on an NVIDIA GPU. The host prepares work and fetches tokens; between the two, the GPU
 * reads prompts, steps and chooses without waiting for it.
 *
 * <p>A few sequences run one after another, each by {@link TokenKernel}, since a step's time is that of reading the weights,
 * which one kernel does best; more run side by side, {@link BatchStep}, which reads the weights once for all of them. What
 * is generated for a prompt does not depend on the others, but for rounding: the sums of a matrix product may be taken in
 * another order in a batch of another size.
 *
 * <p>Not thread-safe. What it allocates for a batch it keeps for the next one of the same size and options.
 */
public final class BatchGenerator implements AutoCloseable {
    private final DecodeModel model;
    private Optional<BatchSession> session = Optional.empty();

    /** @param model from now on closed with this */
    BatchGenerator(DecodeModel model) {
        this.model = model;
    }

    /**
     * Loads the model of a checkpoint folder.
     *
     * @param device {@code cuda} or {@code cuda:N}
     * @throws UserError if there is no such device, the folder does not hold a sound checkpoint of a Mamba, or the GPU's memory
     *     does not suffice
     */
    public static BatchGenerator load(Path folder, String device, Precision precision) {
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            return new BatchGenerator(DecodeModel.load(checkpoint, device, precision));
        }
    }

    /** The configuration of the model. */
    public MambaConfig config() {
        return model.config();
    }

    /**
     * Continues each prompt from its beginning.
     *
     * @param prompts tokens, at least one in each; of any lengths
     * @param options {@code stop} (texts) must be empty, since this works on tokens: {@code endTokens} ends a sequence; the seed
     *     is the first sequence's, the next ones have the numbers after it
     * @return the tokens after each prompt, without the one that ended it
     * @throws UserError if a prompt is empty or has a token outside the vocabulary, if the options ask for what there is not
     *     here, if the GPU's memory does not suffice, or if the model's numbers are none
     */
    public List<int[]> generate(List<int[]> prompts, GenerationOptions options) {
        check(prompts, options);
        if (prompts.isEmpty() || options.maxNewTokens() == 0) {
            return prompts.stream().map(prompt -> new int[0]).toList();
        }
        return compute(() -> {
            BatchSession current = session(prompts.size(), options);
            current.begin(prompts, options.sampling().seed());
            return current.generate();
        });
    }

    private BatchSession session(int batch, GenerationOptions options) {
        GenerationOptions seedless = options.withSampling(options.sampling().withSeed(0));
        if (session.isPresent() && session.get().fits(batch, seedless)) {
            return session.get();
        }
        session.ifPresent(BatchSession::close);
        session = Optional.empty();
        BatchSession made = BatchSession.open(model, batch, seedless);
        session = Optional.of(made);
        return made;
    }

    private void check(List<int[]> prompts, GenerationOptions options) {
        if (!options.stop().isEmpty()) {
            throw new UserError("stop texts cannot be used in a batch on a GPU: give the tokens that end a sequence");
        }
        Requests.checkPrompts(prompts, model.config().vocabSize());
    }

    private <T> T compute(Supplier<T> work) {
        try {
            Devices.use(model.device());
            return NoGrad.call(() -> TensorScope.call(work));
        } catch (RuntimeException e) {
            throw Torch.translate("generation", e);
        }
    }

    @Override
    public void close() {
        session.ifPresent(BatchSession::close);
        session = Optional.empty();
        model.close();
    }
}
