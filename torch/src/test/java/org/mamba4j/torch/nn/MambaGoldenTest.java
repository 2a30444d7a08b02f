package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.torch.Golden;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;

/** Parity with Hugging Face transformers on a small random model. */
class MambaGoldenTest {
    @TempDir
    Path folder;

    static List<MambaKernels> kernels() {
        List<MambaKernels> all = new ArrayList<>(List.of(MambaKernels.composed(), MambaKernels.fused()));
        if (Gpu.isThere()) {
            all.add(MambaKernels.cuda());
        }
        return all;
    }

    private void withGolden(MambaKernels kernels, BiConsumer<Mamba, SafetensorsFile> test) {
        for (String file : List.of("config.json", "model.safetensors", "expected.safetensors")) {
            Golden.copy("hf-mamba-tiny/" + file, folder);
        }
        Path weights = folder.resolve("expected.safetensors");
        try (SafetensorsFile expected = SafetensorsFile.open(weights);
                Checkpoint checkpoint = Checkpoint.open(folder);
                Mamba model = Mamba.load(checkpoint, kernels)) {
            TensorScope.run(() -> test.accept(model, expected));
        }
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void logitsAndHiddenStates(MambaKernels kernels) {
        withGolden(kernels, (model, expected) -> {
            Tensor ids = Golden.read(expected, "input_ids");
            Golden.assertClose("logits", model.forward(ids), Golden.read(expected, "logits"), 1e-4);
            List<Tensor> hidden = model.hiddenStates(ids);
            assertThat(hidden).hasSize(model.config().nLayer() + 1);
            for (int i = 0; i < hidden.size(); i++) {
                Golden.assertClose("hidden." + i, hidden.get(i), Golden.read(expected, "hidden." + i), 1e-4);
            }
        });
    }

    /** The likeliest token, where bfloat16 has 8 bits of the logits. */
    @Test
    void likeliestTokensInBfloat16() {
        Gpu.require();
        withGolden(MambaKernels.cuda("cuda", Precision.BFLOAT16), (model, expected) -> {
            Tensor ids = Golden.read(expected, "input_ids");
            long[] actual = likeliest(model.forward(ids));
            long[] wanted = likeliest(Golden.read(expected, "logits"));
            assertThat(actual).hasSameSizeAs(wanted).hasSizeGreaterThan(100);
            long equal = IntStream.range(0, wanted.length)
                    .filter(i -> actual[i] == wanted[i])
                    .count();
            System.out.println("bfloat16: " + equal + " of " + wanted.length + " likeliest tokens are the golden ones");
            assertThat((double) equal / wanted.length).isGreaterThanOrEqualTo(0.99);
        });
    }

    private static long[] likeliest(Tensor logits) {
        return Tensors.toLongs(logits.argmax(new LongOptional(2), false));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void lossAndGradients(MambaKernels kernels) {
        withGolden(kernels, (model, expected) -> {
            Tensor ids = Golden.read(expected, "input_ids");
            long next = ids.size(1) - 1;
            Tensor loss = model.loss(ids.narrow(1, 0, next), ids.narrow(1, 1, next));
            Golden.assertClose("loss", loss, Golden.read(expected, "loss"), 1e-5);
            loss.backward();
            for (Parameter parameter : model.parameters()) {
                String name = "grad." + parameter.name();
                Golden.assertRelativelyClose(name, parameter.tensor().grad(), Golden.read(expected, name), 1e-4);
            }
        });
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void weightsThatSumToOneGiveAMean(MambaKernels kernels) {
        withGolden(kernels, (model, expected) -> {
            Tensor ids = Golden.read(expected, "input_ids").narrow(1, 0, 21);
            Tensor inputs = ids.narrow(1, 0, 20);
            Tensor targets = ids.narrow(1, 1, 20);
            float[] ones = new float[40];
            Arrays.fill(ones, 1f / 40);
            Golden.assertClose(
                    "mean", model.loss(inputs, targets, Tensors.of(ones, 2, 20)), model.loss(inputs, targets), 1e-6);
            float[] second = new float[40];
            Arrays.fill(second, 20, 40, 0.5f / 20);
            Golden.assertClose(
                    "second row only",
                    model.loss(inputs, targets, Tensors.of(second, 2, 20)),
                    model.loss(inputs.narrow(0, 1, 1), targets.narrow(0, 1, 1)).mul(new Scalar(0.5)),
                    1e-6);
        });
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void greedyTokens(MambaKernels kernels) {
        withGolden(kernels, (model, expected) -> {
            int[] greedy = Arrays.stream(expected.longs("greedy"))
                    .mapToInt(Math::toIntExact)
                    .toArray();
            int[] prompt = Arrays.copyOf(greedy, 8);
            assertThat(Golden.greedy(new TorchLanguageModel(model), prompt, greedy.length - prompt.length))
                    .containsExactly(Arrays.stream(greedy).skip(8).toArray());
        });
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void aSavedModelIsTheSame(MambaKernels kernels) {
        withGolden(kernels, (model, expected) -> {
            model.save(folder.resolve("saved"));
            try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("saved"));
                    Mamba again = Mamba.load(checkpoint, kernels)) {
                assertThat(again.config()).isEqualTo(model.config());
                Tensor ids = Golden.read(expected, "input_ids");
                Golden.assertClose("logits", again.forward(ids), model.forward(ids), 0);
            }
        });
    }
}
