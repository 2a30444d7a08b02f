package org.mamba4j.torch.decode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** States and buffers of a batch of one size, and one way to continue it. */
abstract sealed class BatchSession implements AutoCloseable {
    /** Up to so many sequences, one after another takes less time than side by side. */
    private static final int FEW = 4;

    /** Steps between two looks at whether all sequences have ended. */
    private static final int LOOK = 32;

    private final DecodeModel model;
    private final GenerationOptions options;
    private final DecodeState state;
    private final Chooser chooser;
    private final PromptReader reader;

    private BatchSession(DecodeModel model, GenerationOptions options, DecodeState state, Chooser chooser) {
        this.model = model;
        this.options = options;
        this.state = state;
        this.chooser = chooser;
        this.reader = new PromptReader(model, state);
    }

    /** @param options with seed 0 */
    static BatchSession open(DecodeModel model, int batch, GenerationOptions options) {
        Optional<TokenKernel> kernel = model.tokens().filter(any -> batch <= FEW);
        ScalarType type = kernel.isPresent() ? ScalarType.Float : model.sizes().type();
        Chooser chooser = new Chooser(
                model.sizes(),
                type,
                model.device(),
                batch,
                options.maxNewTokens() + 1, // recording a step makes a choice of its own
                options.sampling(),
                options.endTokens());
        DecodeState state = DecodeState.zeros(model.config(), model.device(), batch);
        return kernel.isPresent()
                ? new OneByOne(model, options, state, chooser, kernel.get())
                : new Together(model, options, state, chooser);
    }

    /** Whether it was made for this. */
    boolean fits(int batch, GenerationOptions wanted) {
        return state.batch() == batch && options.equals(wanted);
    }

    /** Forgets everything, reads the prompts and chooses the first token of each. */
    void begin(List<int[]> prompts, long seed) {
        chooser.restart(seed);
        reader.read(prompts);
        chooseFirst();
    }

    abstract void chooseFirst();

    /** Continues each sequence up to the greatest number of tokens. */
    abstract List<int[]> generate();

    /**
     * Takes steps until every sequence has its tokens or has ended.
     *
     * @param step chooses one more token for each
     * @return tokens that were chosen for each, the first included
     */
    final int stepUntilDone(Runnable step) {
        int count = 1;
        for (; count < options.maxNewTokens(); count++) {
            if (!options.endTokens().isEmpty() && count % LOOK == 0 && chooser.allDone()) {
                break;
            }
            step.run();
        }
        return count;
    }

    final DecodeModel model() {
        return model;
    }

    final GenerationOptions options() {
        return options;
    }

    final DecodeState state() {
        return state;
    }

    final Chooser chooser() {
        return chooser;
    }

    @Override
    public void close() {
        reader.close();
        chooser.close();
        state.close();
    }

    /** Side by side. */
    private static final class Together extends BatchSession {
        private final BatchStep step;

        Together(DecodeModel model, GenerationOptions options, DecodeState state, Chooser chooser) {
            super(model, options, state, chooser);
            this.step = new BatchStep(model.weights(), model.sizes(), model.device(), state, chooser);
        }

        @Override
        void chooseFirst() {
            step.chooseFirst();
        }

        @Override
        List<int[]> generate() {
            return chooser().chosen(stepUntilDone(step::run));
        }

        @Override
        public void close() {
            step.close();
            super.close();
        }
    }

    /** One sequence after another. */
    private static final class OneByOne extends BatchSession {
        private final TokenKernel kernel;
        private final Tensor stop;

        OneByOne(DecodeModel model, GenerationOptions options, DecodeState state, Chooser chooser, TokenKernel kernel) {
            super(model, options, state, chooser);
            this.kernel = kernel;
            this.stop = DeviceMemory.zeros(
                    model.device(), ScalarType.Int, options.endTokens().size());
            long[] ids =
                    options.endTokens().stream().mapToLong(Integer::longValue).toArray();
            TensorScope.run(() -> stop.copy_(Tensors.of(ids, ids.length)));
        }

        @Override
        void chooseFirst() {
            TensorScope.run(() -> {
                Tensor normed = state().hidden().to(model().sizes().type());
                chooser()
                        .logits()
                        .narrow(1, 0, model().config().vocabSize())
                        .copy_(model().prompt().logits(normed));
                chooser().choose();
            });
        }

        @Override
        List<int[]> generate() {
            return options().sampling().temperature() == 0 ? greedy() : sampled();
        }

        /** All steps of a sequence in one launch. */
        private List<int[]> greedy() {
            List<int[]> all = new ArrayList<>();
            int[] first = Tensors.toInts(chooser().tokens());
            for (int b = 0; b < first.length; b++) {
                int token = first[b];
                if (options().endTokens().contains(token)) {
                    all.add(new int[0]);
                    continue;
                }
                int sequence = b;
                all.add(TensorScope.call(() -> continued(sequence)));
            }
            chooser().check();
            return all;
        }

        private int[] continued(int sequence) {
            int steps = options().maxNewTokens() - 1;
            Tensor tokens = Tensors.emptyLike(chooser().tokens(), ScalarType.Int, steps + 1L);
            tokens.narrow(0, 0, 1).copy_(chooser().tokens().narrow(0, sequence, 1));
            kernel.run(state(), sequence, tokens, steps, TokenKernel.Head.GREEDY, Tensors.absent(), stop);
            int read = steps == 0 ? 0 : kernel.finish();
            int[] chosen = Arrays.copyOf(Tensors.toInts(tokens), read + 1);
            return options().endTokens().contains(chosen[read]) ? Arrays.copyOf(chosen, read) : chosen;
        }

        /** A launch for each token, and one for the choice. */
        private List<int[]> sampled() {
            int count = stepUntilDone(() -> TensorScope.run(() -> {
                for (int b = 0; b < state().batch(); b++) {
                    kernel.run(
                            state(),
                            b,
                            chooser().tokens().narrow(0, b, 1),
                            1,
                            TokenKernel.Head.LOGITS,
                            chooser().logits().select(0, b),
                            Tensors.absent());
                }
                chooser().choose();
            }));
            kernel.finish();
            return chooser().chosen(count);
        }

        @Override
        public void close() {
            stop.close();
            super.close();
        }
    }
}
