package org.mamba4j.torch.decode;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
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
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.Precision;

/** Measures generation with weights as a new model has them; prompts of random tokens, read anew for each measurement. */
public final class GenerationBenchmark {
    private static final int WARM_UP = 2;

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
     * @param differentTokens of the first sequence: 1 says that something is wrong
     * @param deviceBytes most memory of the GPU that was in use
     */
    public record Result(
            double medianSeconds, double leastSeconds, double promptSeconds, int differentTokens, long deviceBytes) {}

    /**
     * Generates and measures.
     *
     * @param device {@code cuda} or {@code cuda:N}
     * @throws org.mamba4j.UserError if there is no such device or its memory does not suffice
     */
    public static Result run(MambaConfig config, String device, Precision precision, Work work) {
        Devices.check(device);
        Devices.use(device);
        DecodeSizes sizes = new DecodeSizes(config, precision.type());
        DecodeWeights weights = new DecodeWeights(sizes, device);
        TensorScope.run(() -> fill(weights, sizes));
        try (BatchGenerator generator = new BatchGenerator(DecodeModel.of(sizes, device, weights))) {
            return measure(generator, work);
        }
    }

    private static Result measure(BatchGenerator generator, Work work) {
        int vocab = generator.config().vocabSize();
        Random random = new Random(1);
        List<int[]> prompts = Stream.generate(
                        () -> random.ints(work.prompt, 0, vocab).toArray())
                .limit(work.batch)
                .toList();
        GenerationOptions options =
                GenerationOptions.DEFAULTS.withSampling(work.sampling).withMaxNewTokens(work.tokens);
        int[] first = generator.generate(prompts, options).getFirst();
        double[] whole = seconds(generator, prompts, options, work.repeats);
        double[] begun = seconds(generator, prompts, options.withMaxNewTokens(1), work.repeats);
        return new Result(
                whole[whole.length / 2],
                whole[0],
                begun[begun.length / 2],
                (int) Arrays.stream(first).distinct().count(),
                TensorScope.call(() -> torch_cuda
                        .getAllocator()
                        .getDeviceStats(torch_cuda.current_device())
                        .reserved_bytes()
                        .peak()));
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
