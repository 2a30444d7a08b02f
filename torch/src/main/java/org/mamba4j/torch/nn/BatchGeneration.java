package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.inference.Requests;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;

/**
 * Greedy continuations of many prompts side by side, for any family, with the layers of training: a Transformer keeps keys
 * and values of all tokens, laid out once for the whole length; others carry their state. Tokens stay on the device until
 * all are there. What a Mamba has of its own for this, {@link org.mamba4j.torch.decode.BatchGenerator}, is faster for it;
 * this is what other families are measured with.
 */
public final class BatchGeneration {
    private BatchGeneration() {}

    /**
     * Rounds all weights to the type of the network's activations, for good: they are then read as they are instead of
     * being rounded for every token. Not to be trained afterwards.
     */
    public static void round(LanguageNetwork network) {
        network.parameters()
                .forEach(parameter -> TensorScope.run(() -> NoGrad.call(() -> {
                    Tensor weight = parameter.tensor();
                    weight.set_data(weight.to(network.kernels().activations()));
                    return weight;
                })));
    }

    /**
     * Continues prompts of equal length.
     *
     * @param rows prompts (B)
     * @param prompts (B, L), L at least 1
     * @param count tokens to generate for each, at least 1
     * @return (B, count)
     */
    public static long[] greedy(LanguageNetwork network, int rows, int[] prompts, int count) {
        if (rows < 1 || prompts.length == 0 || prompts.length % rows != 0 || count < 1) {
            throw new IllegalArgumentException(prompts.length + " tokens in " + rows + " rows, " + count + " more");
        }
        Requests.checkTokens(prompts, network.config().vocabSize());
        int length = prompts.length / rows;
        try (BatchCarry carry = new BatchCarry(length + count)) {
            Devices.use(network.kernels().device());
            return NoGrad.call(() -> TensorScope.call(() -> {
                TensorVector all = new TensorVector();
                Tensor next = next(network, carry, Tensors.ofTokens(prompts, 0, rows, length)); // (B, 1)
                all.push_back(next);
                for (int i = 1; i < count; i++) {
                    Tensor last = next;
                    next = next(network, carry, last);
                    all.push_back(next);
                }
                return Tensors.toLongs(torch.cat(all, 1));
            }));
        } catch (RuntimeException e) {
            throw Torch.translate("generating " + count + " tokens after " + rows + " prompts of " + length, e);
        }
    }

    /** (B, L) → (B, 1). */
    private static Tensor next(LanguageNetwork network, BatchCarry carry, Tensor ids) {
        try (TensorScope step = TensorScope.temporaries()) {
            Tensor hidden = network.hidden(ids, carry, x -> {}); // (B, L, d)
            carry.commit(ids.size(1));
            Tensor last = hidden.narrow(1, hidden.size(1) - 1, 1); // (B, 1, d)
            return step.promote(network.logits(last).argmax(new LongOptional(2), false)); // (B, 1)
        }
    }
}
