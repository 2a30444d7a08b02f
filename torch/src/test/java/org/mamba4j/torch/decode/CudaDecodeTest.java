package org.mamba4j.torch.decode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.inference.State;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Golden;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.Mamba;
import org.mamba4j.torch.nn.TorchLanguageModel;

/** Generation on a GPU against Hugging Face's vectors and against the engine on the CPU. Skipped where there is no GPU. */
@Tag("gpu")
class CudaDecodeTest {
    private static final GenerationOptions GREEDY =
            GenerationOptions.DEFAULTS.withMaxNewTokens(12).withSampling(SamplingOptions.GREEDY);

    @TempDir
    Path folder;

    @BeforeAll
    static void needsGpu() {
        Gpu.require();
    }

    @Test
    void logitsAreTheGoldenOnes() {
        golden();
        try (SafetensorsFile expected = SafetensorsFile.open(folder.resolve("expected.safetensors"));
                CudaLanguageModel model = CudaLanguageModel.load(folder, "cuda", Precision.FLOAT32)) {
            int[] shape = Arrays.stream(expected.info("input_ids").shape().toArray())
                    .mapToInt(Math::toIntExact)
                    .toArray();
            int[] ids = ints(expected, "input_ids");
            float[] logits = expected.floats("logits");
            int vocab = model.vocabSize();
            for (int b = 0; b < shape[0]; b++) {
                int first = b * shape[1];
                int[] tokens = Arrays.copyOfRange(ids, first, first + shape[1]);
                try (State scored = model.newState();
                        State stepped = model.newState()) {
                    model.score(
                            scored,
                            tokens,
                            0,
                            (at, row) -> assertThat(row)
                                    .as("scored, position " + at)
                                    .usingComparatorWithPrecision(1e-4f)
                                    .containsExactly(Arrays.copyOfRange(
                                            logits, (first + at) * vocab, (first + at + 1) * vocab)));
                    for (int at = 0; at < tokens.length; at++) {
                        model.step(stepped, tokens[at]);
                        assertThat(model.logits(stepped))
                                .as("stepped, position " + at)
                                .usingComparatorWithPrecision(1e-4f)
                                .containsExactly(
                                        Arrays.copyOfRange(logits, (first + at) * vocab, (first + at + 1) * vocab));
                    }
                }
            }
        }
    }

    @Test
    void bfloat16ChoosesTheGoldenTokens() {
        golden();
        try (SafetensorsFile expected = SafetensorsFile.open(folder.resolve("expected.safetensors"));
                CudaLanguageModel model = CudaLanguageModel.load(folder, "cuda", Precision.BFLOAT16)) {
            int[] ids = ints(expected, "input_ids");
            float[] logits = expected.floats("logits");
            int length = Math.toIntExact(expected.info("input_ids").shape().toArray()[1]);
            int vocab = model.vocabSize();
            int[] agreed = new int[2];
            for (int b = 0; b < ids.length / length; b++) {
                int first = b * length;
                int[] tokens = Arrays.copyOfRange(ids, first, first + length);
                try (State scored = model.newState();
                        State stepped = model.newState()) {
                    model.score(scored, tokens, 0, (at, row) -> agreed[0] += same(row, logits, first + at, vocab));
                    for (int at = 0; at < length; at++) {
                        model.step(stepped, tokens[at]);
                        agreed[1] += same(model.logits(stepped), logits, first + at, vocab);
                    }
                }
            }
            assertThat(agreed[0]).as("scored").isGreaterThanOrEqualTo((int) Math.ceil(0.99 * ids.length));
            assertThat(agreed[1]).as("stepped").isGreaterThanOrEqualTo((int) Math.ceil(0.99 * ids.length));
        }
    }

    private static int same(float[] row, float[] expected, int position, int vocab) {
        return Golden.argmax(row)
                        == Golden.argmax(Arrays.copyOfRange(expected, position * vocab, (position + 1) * vocab))
                ? 1
                : 0;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 7})
    void greedyTokensAreTheGoldenOnes(int batch) {
        golden();
        try (SafetensorsFile expected = SafetensorsFile.open(folder.resolve("expected.safetensors"));
                BatchGenerator generator = BatchGenerator.load(folder, "cuda", Precision.FLOAT32)) {
            int[] greedy = ints(expected, "greedy");
            List<int[]> prompts = IntStream.range(0, batch)
                    .mapToObj(i -> Arrays.copyOf(greedy, 8))
                    .toList();
            List<int[]> all = generator.generate(prompts, GREEDY.withMaxNewTokens(greedy.length - 8));
            for (int[] tokens : all) {
                assertThat(tokens).containsExactly(Arrays.copyOfRange(greedy, 8, greedy.length));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Model.class)
    void aBatchIsOneByOne(Model size) {
        size.save(folder);
        Random random = new Random(11);
        List<int[]> prompts = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            prompts.add(random.ints(1 + random.nextInt(40), 0, size.vocab).toArray());
        }
        List<int[]> expected = new ArrayList<>();
        try (TorchLanguageModel cpu = TorchLanguageModel.load(folder)) {
            for (int[] prompt : prompts) {
                expected.add(Golden.greedy(cpu, prompt, GREEDY.maxNewTokens()));
            }
        }
        try (BatchGenerator generator = BatchGenerator.load(folder, "cuda", Precision.FLOAT32)) {
            for (int batch : List.of(1, 2, 4, 5, 8, 9, 33, 128, 300, 1)) {
                for (int round = 0; round < 3; round++) { // the second time, reading the prompts is recorded
                    List<int[]> all = generator.generate(prompts.subList(0, batch), GREEDY);
                    assertThat(all).hasSize(batch);
                    for (int b = 0; b < batch; b++) {
                        assertThat(all.get(b))
                                .as(size + ", " + b + " of " + batch)
                                .containsExactly(expected.get(b));
                    }
                }
            }
        }
    }

    /** Widths that the kernels for usual sizes take, a layer in three and between the library's products. */
    @ParameterizedTest
    @ValueSource(ints = {128, 384, 1152})
    void widerModelsChooseWhatTheScanWould(int width) {
        MambaConfig config =
                MambaConfig.builder().vocabSize(1003).dModel(width).nLayer(3).build();
        for (int batch : List.of(5, 70, 300)) {
            GenerationBenchmark.Work work = new GenerationBenchmark.Work(batch, 9, 12, SamplingOptions.GREEDY, 1);
            GenerationBenchmark.Result result = GenerationBenchmark.run(config, "cuda", Precision.BFLOAT16, work);
            assertThat(result.worstOff().orElseThrow()).as(batch + " sequences").isLessThan(0.3);
        }
    }

    @Test
    void endsAtEndTokensAndAtNothing() {
        Model.SMALL.save(folder);
        int[] prompt = {3, 1, 4, 1, 5};
        try (BatchGenerator generator = BatchGenerator.load(folder, "cuda", Precision.FLOAT32)) {
            int[] free = generator.generate(List.of(prompt), GREEDY).getFirst();
            for (int batch : List.of(1, 6)) {
                List<int[]> prompts = Collections.nCopies(batch, prompt);
                for (int at : List.of(0, 3, 11)) {
                    int end = free[at];
                    int first = IntStream.range(0, free.length)
                            .filter(i -> free[i] == end)
                            .findFirst()
                            .orElseThrow();
                    for (int[] tokens : generator.generate(prompts, GREEDY.withEndTokens(Set.of(end)))) {
                        assertThat(tokens).containsExactly(Arrays.copyOf(free, first));
                    }
                }
                assertThat(generator.generate(prompts, GREEDY.withMaxNewTokens(0)))
                        .allMatch(t -> t.length == 0);
                assertThat(generator.generate(prompts, GREEDY.withMaxNewTokens(1)))
                        .allMatch(t -> t.length == 1 && t[0] == free[0]);
            }
            assertThat(generator.generate(List.of(), GREEDY)).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 64})
    void drawsAreThoseOfTheFilteredDistribution(int batch) {
        Model.SMALL.save(folder);
        int[] prompt = {3, 1, 4, 1, 5};
        try (CudaLanguageModel model = CudaLanguageModel.load(folder, "cuda", Precision.FLOAT32);
                BatchGenerator generator = BatchGenerator.load(folder, "cuda", Precision.FLOAT32);
                State state = model.newState()) {
            model.prefill(state, prompt);
            float[] logits = model.logits(state);
            double range = IntStream.range(0, logits.length)
                            .mapToDouble(i -> logits[i])
                            .max()
                            .orElseThrow()
                    - IntStream.range(0, logits.length)
                            .mapToDouble(i -> logits[i])
                            .min()
                            .orElseThrow();
            SamplingOptions sampling = SamplingOptions.DEFAULTS.withTemperature(range / 6);
            for (SamplingOptions each : List.of(
                    sampling,
                    sampling.withTopK(3),
                    sampling.withTopP(0.3),
                    sampling.withMinP(0.4),
                    sampling.withTopK(20).withTopP(0.6).withMinP(0.05))) {
                double[] wanted = probabilities(logits, each);
                int draws = 4096;
                int[] counts = new int[logits.length];
                List<int[]> prompts = Collections.nCopies(batch, prompt);
                for (int i = 0; i < draws / batch && (batch > 1 || i < 64); i++) {
                    GenerationOptions options = GREEDY.withMaxNewTokens(1).withSampling(each.withSeed(1000L * i));
                    for (int[] tokens : generator.generate(prompts, options)) {
                        counts[tokens[0]]++;
                    }
                }
                double total = IntStream.of(counts).sum();
                for (int token = 0; token < counts.length; token++) {
                    double sigma = Math.sqrt(wanted[token] * (1 - wanted[token]) / total);
                    assertThat(counts[token] / total)
                            .as(each + ", token " + token)
                            .isBetween(wanted[token] - 5 * sigma - 1e-12, wanted[token] + 5 * sigma + 1e-12);
                }
            }
            GenerationOptions options = GREEDY.withSampling(sampling.withSeed(7));
            List<int[]> prompts = Collections.nCopies(batch, prompt);
            List<int[]> once = generator.generate(prompts, options);
            List<int[]> again = generator.generate(prompts, options);
            assertThat(again).containsExactlyElementsOf(once).usingRecursiveComparison();
            Set<List<Integer>> different = new TreeSet<>(Comparator.comparing(Object::toString));
            once.forEach(tokens -> different.add(Arrays.stream(tokens).boxed().toList()));
            assertThat(different).hasSizeGreaterThan(batch * 9 / 10);
        }
    }

    /** What {@link org.mamba4j.inference.Sampler} draws from, by sorting. */
    private static double[] probabilities(float[] logits, SamplingOptions options) {
        List<Integer> order = IntStream.range(0, logits.length)
                .boxed()
                .sorted((a, b) -> Float.compare(logits[b], logits[a]))
                .toList();
        double best = logits[order.getFirst()];
        double[] weights = new double[logits.length];
        int most = options.topK() == 0 ? logits.length : options.topK();
        double mass = 0;
        for (int rank = 0; rank < most; rank++) {
            weights[order.get(rank)] = Math.exp((logits[order.get(rank)] - best) / options.temperature());
            mass += weights[order.get(rank)];
        }
        double kept = 0;
        for (int rank = 0; rank < logits.length; rank++) {
            int token = order.get(rank);
            if ((options.topP() < 1 && kept >= options.topP() * mass) || weights[token] < options.minP()) {
                weights[token] = 0;
            }
            kept += weights[token];
        }
        for (int token = 0; token < weights.length; token++) {
            weights[token] /= kept;
        }
        return weights;
    }

    @Test
    void statesGoFromEngineToEngine() {
        Model.SMALL.save(folder);
        int[] prompt = {3, 1, 4, 1, 5, 9, 2, 6};
        Path file = folder.resolve("state.safetensors");
        try (TorchLanguageModel cpu = TorchLanguageModel.load(folder);
                CudaLanguageModel gpu = CudaLanguageModel.load(folder, "cuda", Precision.FLOAT32)) {
            for (List<LanguageModel> pair :
                    List.of(List.<LanguageModel>of(cpu, gpu), List.<LanguageModel>of(gpu, cpu))) {
                try (State written = pair.get(0).newState()) {
                    pair.get(0).prefill(written, prompt);
                    written.save(file);
                    try (State read = pair.get(1).loadState(file);
                            State copy = read.copy()) {
                        assertThat(read.tokensSeen()).isEqualTo(prompt.length);
                        assertThat(pair.get(1).logits(read))
                                .usingComparatorWithPrecision(1e-4f)
                                .containsExactly(pair.get(0).logits(written));
                        pair.get(0).step(written, 7);
                        pair.get(1).step(read, 7);
                        pair.get(1).prefill(copy, new int[] {7});
                        assertThat(pair.get(1).logits(read))
                                .usingComparatorWithPrecision(1e-4f)
                                .containsExactly(pair.get(0).logits(written));
                        assertThat(pair.get(1).logits(copy))
                                .usingComparatorWithPrecision(1e-4f)
                                .containsExactly(pair.get(0).logits(written));
                        read.reset();
                        assertThat(read.tokensSeen()).isZero();
                        pair.get(1).prefill(read, prompt);
                        pair.get(1).step(read, 7);
                        assertThat(pair.get(1).logits(read))
                                .usingComparatorWithPrecision(1e-4f)
                                .containsExactly(pair.get(0).logits(written));
                    }
                }
            }
        }
    }

    @Test
    void saysWhatIsWrong() {
        Model.SMALL.save(folder);
        try (BatchGenerator generator = BatchGenerator.load(folder, "cuda", Precision.FLOAT32)) {
            assertThatThrownBy(() -> generator.generate(List.of(new int[] {1}, new int[0]), GREEDY))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("prompt 1 of 2 is empty");
            assertThatThrownBy(() -> generator.generate(List.of(new int[] {1, 4096}), GREEDY))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("token 4096 at index 1");
            assertThatThrownBy(() -> generator.generate(List.of(new int[] {1}), GREEDY.withStop(List.of("x"))))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("stop texts");
        }
        assertThatThrownBy(
                        () -> DeviceMemory.require("the states of 9 sequences", Long.MAX_VALUE, "use a smaller batch"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("not enough GPU memory for the states of 9 sequences: ")
                .hasMessageContaining("GB free; use a smaller batch");
        MambaConfig large = Model.SMALL.config();
        assertThatThrownBy(() -> DecodeState.zeros(large, "cuda", Integer.MAX_VALUE / 2))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("GPU memory");
    }

    private void golden() {
        for (String file : List.of("config.json", "model.safetensors", "expected.safetensors")) {
            Golden.copy("hf-mamba-tiny/" + file, folder);
        }
    }

    private static int[] ints(SafetensorsFile file, String name) {
        return Arrays.stream(file.longs(name)).mapToInt(Math::toIntExact).toArray();
    }

    /** Models with initial weights: one that the kernel for single sequences takes, one with every size odd. */
    enum Model {
        SMALL(64, 2, 300, 16, 4),
        ODD(37, 2, 301, 7, 3);

        private final int width;
        private final int layers;
        private final int vocab;
        private final int states;
        private final int taps;

        Model(int width, int layers, int vocab, int states, int taps) {
            this.width = width;
            this.layers = layers;
            this.vocab = vocab;
            this.states = states;
            this.taps = taps;
        }

        MambaConfig config() {
            return MambaConfig.builder()
                    .vocabSize(vocab)
                    .dModel(width)
                    .nLayer(layers)
                    .dState(states)
                    .dConv(taps)
                    .useBias(this == ODD)
                    .tieEmbeddings(this == SMALL)
                    .build();
        }

        void save(Path folder) {
            TensorScope.run(() -> {
                try (Mamba model = Mamba.create(config(), MambaKernels.fused(), 5)) {
                    model.parameters().forEach(parameter -> {
                        // New embeddings are so small that all logits are nearly equal.
                        if (parameter.name().endsWith("embeddings.weight")) {
                            parameter.tensor().detach().mul_(new Scalar(20));
                        }
                    });
                    model.save(folder);
                }
            });
        }
    }
}
