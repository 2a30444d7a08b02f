package org.mamba4j.torch.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.Parameter;

@Timeout(60)
class GradientBucketsTest {
    private static final int PARAMETERS = 7;
    private static final int SIZE = 40; // not a multiple of the alignment

    /** What a rank has seen. */
    private record Seen(String before, String during, List<float[]> gradients) {}

    @Test
    void bucketsAreSentWhileTheBackwardPassRuns() throws Exception {
        List<Seen> all = RankThreads.run(
                2,
                ranks -> TensorScope.call(() -> {
                    List<Parameter> parameters = parameters();
                    // Two parameters fill a bucket.
                    GradientBuckets buckets = ((Group) ranks).exchange(parameters, 4 * 128);
                    loss(parameters, ranks.rank() + 1).backward();
                    String before = buckets.progress();
                    buckets.arm();
                    loss(parameters, ranks.rank() + 1).backward();
                    String during = buckets.progress();
                    buckets.finish();
                    List<float[]> gradients = new ArrayList<>();
                    parameters.forEach(parameter ->
                            gradients.add(Tensors.toFloats(parameter.tensor().grad())));
                    buckets.close();
                    return new Seen(before, during, gradients);
                }));

        for (Seen seen : all) {
            assertThat(seen.before()).isEqualTo("0 of 4");
            assertThat(seen.during()).as("all but the last one").isEqualTo("3 of 4");
            for (int i = 0; i < PARAMETERS; i++) {
                // Rank r's loss is (r + 1) · Σ i · p, twice.
                assertThat(seen.gradients().get(i)).hasSize(SIZE).containsOnly(2 * (1 + 2) * i);
            }
        }
    }

    @Test
    void aHandWrittenPassTellsWhatIsReady() throws Exception {
        List<Seen> all = RankThreads.run(
                2,
                ranks -> TensorScope.call(() -> {
                    List<Parameter> parameters = parameters();
                    GradientBuckets buckets = ((Group) ranks).exchange(parameters, 4 * 128);
                    buckets.ready("not armed, so nobody listens");
                    buckets.arm();
                    for (int i = PARAMETERS - 1; i > 0; i--) {
                        Tensor gradient = parameters.get(i).tensor().grad();
                        gradient.copy_(Tensors.of(filled(ranks.rank() * 10 + i), SIZE));
                        buckets.ready("p" + i);
                    }
                    String during = buckets.progress();
                    assertThatThrownBy(() -> buckets.ready("p3"))
                            .isInstanceOf(IllegalStateException.class)
                            .hasMessageContaining("p3");
                    buckets.finish();
                    Tensor extra = Tensors.of(new float[] {ranks.rank(), 5}, 2);
                    buckets.addUp(extra);
                    List<float[]> gradients = new ArrayList<>();
                    parameters.forEach(parameter ->
                            gradients.add(Tensors.toFloats(parameter.tensor().grad())));
                    gradients.add(Tensors.toFloats(extra));
                    buckets.close();
                    return new Seen(during, during, gradients);
                }));

        for (Seen seen : all) {
            assertThat(seen.during()).isEqualTo("3 of 4");
            assertThat(seen.gradients().get(0)).containsOnly(0);
            for (int i = 1; i < PARAMETERS; i++) {
                assertThat(seen.gradients().get(i)).containsOnly(10 + 2 * i);
            }
            assertThat(seen.gradients().getLast()).containsExactly(1, 10);
        }
    }

    private static float[] filled(float value) {
        float[] values = new float[SIZE];
        java.util.Arrays.fill(values, value);
        return values;
    }

    private static List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>();
        for (int i = 0; i < PARAMETERS; i++) {
            Tensor tensor = Tensors.of(filled(1), SIZE);
            tensor.requires_grad_(true);
            all.add(new Parameter("p" + i, tensor, false));
        }
        return all;
    }

    /** factor · Σ i · p, added up so that the last parameter's gradient is known first. */
    private static Tensor loss(List<Parameter> parameters, float factor) {
        Tensor sum = Tensors.of(filled(0), SIZE);
        for (int i = 0; i < PARAMETERS; i++) {
            sum = sum.add(parameters.get(i).tensor().mul(Tensors.of(filled(i * factor), SIZE)));
        }
        return sum.sum();
    }
}
