package org.mamba4j.torch.decode;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.cuda.GpuMemory;
import org.mamba4j.torch.kernel.Precision;

/** Measures generation with weights as a new model has them; prompts of random tokens, read anew for each measurement. */
public final class GenerationBenchmark {
    private static final int WARM_UP = 2;

    /** Rounding to bfloat16 exchanges tokens whose logits are this near; any other token is some 4 standard deviations off. */
    private static final double WRONG = 0.5;

    private GenerationBenchmark() {}

    /**
     * What to measure.
     *
     * @param batch sequences side by side
     * @param prompt tokens of each prompt
     * @param tokens that are generated for each
     * @param repeats measurements, at least 1
     */
    public record Work(int batch, int prompt, int tokens, SamplingOptions sampling, int repeats) {}

    /**
     * What was measured.
     *
     * @param medianSeconds for prompts and all tokens
     * @param leastSeconds the shortest of them
     * @param promptSeconds median for prompts and the first token of each
     * @param worstOff by how much a chosen token's logit lies below the greatest one where the parallel scan reads the same
     *     tokens, at worst, in standard deviations of the logits; empty where tokens were drawn
     * @param deviceBytes memory of the GPU that libtorch keeps in the end
     */
    public record Result(
            double medianSeconds,
            double leastSeconds,
            double promptSeconds,
            OptionalDouble worstOff,
            long deviceBytes) {}

    /**
     * Generates and measures.
     *
     * @param device {@code cuda} or {@code cuda:N}
     * @throws org.mamba4j.UserError if there is no such device or its memory does not suffice
     * @throws IllegalStateException if the tokens are wrong
     */
    public static Result run(MambaConfig config, String device, Precision precision, Work work) {
        Devices.check(device);
        Devices.use(device);
        GpuMemory.releaseUnused();
        DecodeSizes sizes = new DecodeSizes(config, precision.type());
        try {
            return NoGrad.call(() -> TensorScope.call(() -> {
                DecodeWeights weights = new DecodeWeights(sizes, device);
                TensorScope.run(() -> fill(weights, sizes));
                DecodeModel model = DecodeModel.of(sizes, device, weights);
                try (BatchGenerator generator = new BatchGenerator(model)) {
                    return measure(model, generator, work);
                }
            }));
        } catch (RuntimeException e) {
            throw Torch.translate("generation", e);
        }
    }

    private static Result measure(DecodeModel model, BatchGenerator generator, Work work) {
        int vocab = generator.config().vocabSize();
        Random random = new Random(1);
        List<int[]> prompts = Stream.generate(
                        () -> random.ints(work.prompt, 0, vocab).toArray())
                .limit(work.batch)
                .toList();
        GenerationOptions options =
                GenerationOptions.DEFAULTS.withSampling(work.sampling).withMaxNewTokens(work.tokens);
        List<int[]> tokens = generator.generate(prompts, options);
        OptionalDouble off = work.sampling.temperature() == 0
                ? OptionalDouble.of(check(model, prompts, tokens))
                : OptionalDouble.empty();
        double[] whole = seconds(generator, prompts, options, work.repeats);
        long bytes = torch_cuda
                .getAllocator()
                .getDeviceStats(torch_cuda.current_device())
                .reserved_bytes()
                .current();
        double[] begun = seconds(generator, prompts, options.withMaxNewTokens(1), work.repeats);
        return new Result(whole[whole.length / 2], whole[0], begun[begun.length / 2], off, bytes);
    }

    /** The worst of some sequences, the first and the last included. */
    private static double check(DecodeModel model, List<int[]> prompts, List<int[]> tokens) {
        int last = prompts.size() - 1;
        double worst = IntStream.of(0, last / 3, last / 2, last)
                .distinct()
                .mapToDouble(b -> TensorScope.call(() -> off(model, prompts.get(b), tokens.get(b))))
                .max()
                .orElseThrow();
        if (!(worst < WRONG)) {
            throw new IllegalStateException("generated tokens are not those of the parallel scan: one lies " + worst
                    + " standard deviations below the most likely");
        }
        return worst;
    }

    private static double off(DecodeModel model, int[] prompt, int[] tokens) {
        int[] all =
                IntStream.concat(Arrays.stream(prompt), Arrays.stream(tokens)).toArray();
        try (DecodeState state = DecodeState.zeros(model.config(), model.device(), 1)) {
            Tensor ids = Tensors.on(model.device(), Tensors.ofTokens(all, 0, 1, all.length - 1));
            Tensor x = model.prompt().read(ids, Tensors.absent(), state).narrow(1, prompt.length - 1L, tokens.length);
            float[] logits = Tensors.toFloats(
                    model.prompt().logits(model.prompt().norm(x, model.config().nLayer())));
            int vocab = model.config().vocabSize();
            double worst = 0;
            for (int i = 0; i < tokens.length; i++) {
                worst = Math.max(worst, off(Arrays.copyOfRange(logits, i * vocab, (i + 1) * vocab), tokens[i]));
            }
            return worst;
        }
    }

    private static double off(float[] logits, int token) {
        double greatest = Double.NEGATIVE_INFINITY;
        double sum = 0;
        double squares = 0;
        for (float logit : logits) {
            greatest = Math.max(greatest, logit);
            sum += logit;
            squares += (double) logit * logit;
        }
        double mean = sum / logits.length;
        return (greatest - logits[token]) / Math.sqrt(squares / logits.length - mean * mean);
    }

    /** In ascending order. */
    private static double[] seconds(
            BatchGenerator generator, List<int[]> prompts, GenerationOptions options, int repeats) {
        double[] seconds = new double[repeats];
        for (int i = -WARM_UP; i < repeats; i++) {
            long start = System.nanoTime();
            generator.generate(prompts, options);
            seconds[Math.max(0, i)] = (System.nanoTime() - start) * 1e-9;
        }
        Arrays.sort(seconds);
        return seconds;
    }

    /** Weights as a new model has them. */
    private static void fill(DecodeWeights weights, DecodeSizes sizes) {
        MambaConfig config = sizes.config();
        double inner = config.dInner();
        torch.manual_seed(1);
        normal(weights.embedding, 0.02);
        normal(weights.inProj, 1 / Math.sqrt(config.dModel()));
        normal(weights.xProj, 1 / Math.sqrt(inner));
        normal(weights.dtProj, 1 / Math.sqrt(config.dtRank()));
        normal(weights.outProj, 1 / Math.sqrt(inner * config.nLayer()));
        normal(weights.convWeight, 0.5);
        weights.dtBias.uniform_(-6.9, -2.3, new GeneratorOptional());
        weights.skip.fill_(new Scalar(1.0));
        weights.norm.fill_(new Scalar(1.0));
        float[] row = new float[config.dState()];
        for (int n = 0; n < row.length; n++) {
            row[n] = -1 - n;
        }
        weights.a.copy_(Tensors.of(row, 1, 1, row.length).expand(weights.a.shape()));
        for (int layer = 0; layer < config.nLayer(); layer++) {
            weights.packChannels(layer);
        }
    }

    private static void normal(Tensor tensor, double scale) {
        tensor.normal_(0, scale, new GeneratorOptional());
    }
}
