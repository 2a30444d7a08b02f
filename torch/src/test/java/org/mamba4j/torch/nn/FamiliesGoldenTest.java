package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.torch.Golden;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.kernel.MambaKernels;

/** Parity with Hugging Face transformers on small random models of the families that Mamba is compared with. */
class FamiliesGoldenTest {
    @TempDir
    Path folder;

    private void withGolden(String name, BiConsumer<LanguageNetwork, SafetensorsFile> test) {
        for (String file : List.of("config.json", "model.safetensors", "expected.safetensors")) {
            Golden.copy("hf-" + name + "-tiny/" + file, folder);
        }
        List<MambaKernels> kernels = new ArrayList<>(List.of(MambaKernels.fused()));
        if (Gpu.isThere()) {
            kernels.add(MambaKernels.cuda());
        }
        for (MambaKernels where : kernels) {
            try (SafetensorsFile expected = SafetensorsFile.open(folder.resolve("expected.safetensors"));
                    Checkpoint checkpoint = Checkpoint.open(folder);
                    LanguageNetwork model = LanguageNetwork.load(checkpoint, where)) {
                TensorScope.run(() -> test.accept(model, expected));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gptneox", "mamba2"})
    void logitsAndHiddenStates(String name) {
        withGolden(name, (model, expected) -> {
            Tensor ids = Golden.read(expected, "input_ids");
            Golden.assertClose("logits", model.forward(ids), Golden.read(expected, "logits"), 1e-4);
            List<Tensor> hidden = model.hiddenStates(ids);
            int layers = model.config().nLayer();
            assertThat(hidden).hasSize(layers + 1);
            // Of Transformers it gives the embedding first, and the last block's output only as the head reads it.
            List<Tensor> given = new ArrayList<>(hidden);
            if (!name.equals("mamba2")) {
                given.remove(layers - 1);
                given.addFirst(model.embed(ids));
            }
            for (int i = 0; i < given.size(); i++) {
                Golden.assertClose("hidden." + i, given.get(i), Golden.read(expected, "hidden." + i), 1e-4);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gptneox", "mamba2"})
    void lossAndGradients(String name) {
        withGolden(name, (model, expected) -> {
            Tensor ids = Golden.read(expected, "input_ids");
            long next = ids.size(1) - 1;
            Tensor loss = model.loss(ids.narrow(1, 0, next), ids.narrow(1, 1, next));
            Golden.assertClose("loss", loss, Golden.read(expected, "loss"), 1e-5);
            loss.backward();
            for (Parameter parameter : model.parameters()) {
                // The head of a GPT-NeoX has one name in files and another in transformers' memory.
                String grad = "grad." + parameter.name().replace("embed_out", "lm_head");
                Golden.assertRelativelyClose(grad, parameter.tensor().grad(), Golden.read(expected, grad), 1e-4);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gptneox", "mamba2"})
    void greedyTokens(String name) {
        withGolden(name, (model, expected) -> {
            int[] greedy = Arrays.stream(expected.longs("greedy"))
                    .mapToInt(Math::toIntExact)
                    .toArray();
            int[] prompt = Arrays.copyOf(greedy, 8);
            assertThat(Golden.greedy(new TorchLanguageModel(model), prompt, greedy.length - prompt.length))
                    .containsExactly(Arrays.stream(greedy).skip(8).toArray());
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gptneox", "mamba2"})
    void aSavedModelIsTheSame(String name) {
        withGolden(name, (model, expected) -> {
            model.save(folder.resolve("saved"));
            try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("saved"));
                    LanguageNetwork again = LanguageNetwork.load(checkpoint, model.kernels())) {
                assertThat(again.config()).isEqualTo(model.config());
                Tensor ids = Golden.read(expected, "input_ids");
                Golden.assertClose("logits", again.forward(ids), model.forward(ids), 0);
            }
        });
    }
}
