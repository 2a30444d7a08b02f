package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mamba4j.TestSeed;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.kernel.Kernels;
import org.mamba4j.torch.Golden;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** Every form of the differentiable scan, against golden vectors and against each other, through libtorch's autograd. */
class DifferentiableScanTest {
    private static final List<String> SEQUENCES = List.of("u", "delta", "B", "C", "z");
    private static final List<String> INPUTS = List.of("u", "delta", "A", "B", "C", "D", "delta_bias", "z", "h0");
    private static final int RESETS = 9; // present or not, after the inputs
    private static final float RESET_RATE = 0.2f;

    enum Form {
        SLICES,
        UNBOUND,
        FUSED;

        SelectiveScan scan() {
            return switch (this) {
                case SLICES -> ComposedScan.slices();
                case UNBOUND -> ComposedScan.unbound();
                case FUSED -> new FusedScan(Kernels.best());
            };
        }
    }

    private TensorScope scope;

    @BeforeEach
    void open() {
        scope = new TensorScope();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    @ParameterizedTest
    @EnumSource
    void goldenVectors(Form form, @TempDir Path folder) {
        try (SafetensorsFile golden = SafetensorsFile.open(Golden.copy("selective-scan.safetensors", folder))) {
            int cases = 0;
            for (; golden.has("case" + cases + ".u"); cases++) {
                checkCase(form, golden, "case" + cases + ".");
            }
            assertThat(cases).isEqualTo(4);
        }
    }

    private static void checkCase(Form form, SafetensorsFile golden, String prefix) {
        Map<String, Tensor> inputs = new LinkedHashMap<>();
        for (String name : INPUTS) {
            Tensor input = stored(golden, prefix, name, name);
            if (input.defined()) {
                input.requires_grad_(true);
            }
            inputs.put(name, input);
        }
        SequenceOutput out = form.scan().apply(scanInputs(inputs, golden.longs(prefix + "softplus")[0] == 1), true);
        Golden.assertRelativelyClose(prefix + "y", out.y(), stored(golden, prefix, "y", "u"), 1e-4);
        Golden.assertRelativelyClose(prefix + "h_last", out.lastState(), Golden.read(golden, prefix + "h_last"), 1e-4);
        backward(out.y(), stored(golden, prefix, "grad_y", "u"));
        inputs.forEach((name, input) -> {
            if (input.defined()) {
                Tensor expected = stored(golden, prefix, "grad_" + name, name);
                Golden.assertRelativelyClose(prefix + "grad_" + name, input.grad(), expected, 1e-4);
            }
        });
    }

    /** A tensor of the file, with (B, D, L) turned to (B, L, D) where {@code like} is a sequence. */
    private static Tensor stored(SafetensorsFile golden, String prefix, String name, String like) {
        Tensor tensor = Golden.read(golden, prefix + name);
        return tensor.defined() && SEQUENCES.contains(like)
                ? tensor.transpose(1, 2).contiguous()
                : tensor;
    }

    /** Sizes at random, each optional input on or off, z, B and C columns of wider tensors as in a mixer. */
    @ParameterizedTest
    @EnumSource(names = {"SLICES", "FUSED"})
    void randomShapesAgreeWithTheUnboundForm(Form form) {
        long seed = TestSeed.of("DifferentiableScanTest");
        Random random = new Random(seed);
        for (int i = 0; i < 25; i++) {
            long b = 1L + random.nextInt(3);
            long l = random.nextInt(40);
            long d = 1L + random.nextInt(20);
            long n = 1L + random.nextInt(18);
            boolean softplus = random.nextBoolean();
            boolean[] present = new boolean[INPUTS.size() + 1];
            for (int k = 0; k < present.length; k++) {
                present[k] = k < 5 || random.nextBoolean();
            }
            String what = "seed " + seed + " #" + i + " " + form + " B " + b + " L " + l + " D " + d + " N " + n;
            long content = random.nextLong();
            long[] sizes = {b, l, d, n};
            List<Tensor> expected = run(Form.UNBOUND, sizes, softplus, present, new Random(content));
            List<Tensor> actual = run(form, sizes, softplus, present, new Random(content));
            assertThat(actual).as(what).hasSameSizeAs(expected);
            for (int k = 0; k < expected.size(); k++) {
                Golden.assertRelativelyClose(what + " result " + k, actual.get(k), expected.get(k), 2e-5);
            }
        }
    }

    /** y, the last state and the gradients of all leaves. */
    private static List<Tensor> run(Form form, long[] sizes, boolean softplus, boolean[] present, Random random) {
        long b = sizes[0];
        long l = sizes[1];
        long d = sizes[2];
        long n = sizes[3];
        Tensor uz = leaf(random, b, l, 2 * d);
        Tensor dbc = leaf(random, b, l, d + 2 * n);
        Tensor a = leaf(random, d, n);
        Tensor skip = leaf(random, d);
        Tensor bias = leaf(random, d);
        Tensor h0 = leaf(random, b, d, n);
        TensorVector halves = uz.split(d, 2);
        TensorVector parts = dbc.split(new long[] {d, n, n}, 2);
        Tensor none = Tensors.absent();
        // A step size below 0 lets the state grow without bound: without softplus nothing else keeps it from that.
        Tensor delta = softplus ? parts.get(0) : parts.get(0).abs();
        Tensor shift = softplus ? bias : bias.abs();
        Tensor resets = flags(random, b, l);
        SequenceOutput out = form.scan()
                .apply(
                        new ScanInputs(
                                halves.get(0),
                                delta,
                                a.exp().neg(),
                                parts.get(1),
                                parts.get(2),
                                present[5] ? skip : none,
                                present[6] ? shift : none,
                                present[7] ? halves.get(1) : none,
                                softplus,
                                present[8] ? h0 : none,
                                present[RESETS] ? resets : none),
                        true);
        backward(out.y(), random(random, b, l, d));
        List<Tensor> results = new ArrayList<>(List.of(out.y(), out.lastState()));
        if (l > 0) { // without a step the composed form reaches no leaf
            results.addAll(List.of(uz.grad(), dbc.grad(), a.grad()));
            for (Tensor optional : List.of(skip, bias, h0)) {
                if (optional.grad().defined()) {
                    results.add(optional.grad());
                }
            }
        }
        return results;
    }

    @ParameterizedTest
    @EnumSource
    void onlyWhatNeedsAGradientGetsOne(Form form) {
        Random random = new Random(1);
        Tensor delta = leaf(random, 2, 5, 3);
        Tensor u = random(random, 2, 5, 3);
        Tensor a = random(random, 3, 4);
        Tensor b = random(random, 2, 5, 4);
        SequenceOutput out = form.scan().apply(ScanInputs.of(u, delta, a, b, b), false);
        out.y().sum().backward();
        assertThat(delta.grad().defined()).isTrue();
        assertThat(u.grad().defined()).isFalse();
        assertThat(a.grad().defined()).isFalse();
        assertThat(out.lastState().defined()).isFalse();
    }

    @ParameterizedTest
    @EnumSource
    void aSequenceMayBeCutAnywhere(Form form) {
        Random random = new Random(2);
        Tensor u = random(random, 2, 9, 3);
        Tensor delta = random(random, 2, 9, 3);
        Tensor a = random(random, 3, 4).exp().neg();
        Tensor b = random(random, 2, 9, 4);
        Tensor c = random(random, 2, 9, 4);
        SequenceOutput whole =
                form.scan().apply(ScanInputs.of(u, delta, a, b, c).withSoftplus(true), true);
        Tensor state = Tensors.absent();
        TensorVector ys = new TensorVector();
        for (int[] cut : new int[][] {{0, 4}, {4, 1}, {5, 0}, {5, 4}}) {
            ScanInputs part = ScanInputs.of(
                            u.narrow(1, cut[0], cut[1]),
                            delta.narrow(1, cut[0], cut[1]),
                            a,
                            b.narrow(1, cut[0], cut[1]),
                            c.narrow(1, cut[0], cut[1]))
                    .withSoftplus(true)
                    .from(state);
            SequenceOutput out = form.scan().apply(part, true);
            ys.push_back(out.y());
            state = out.lastState();
        }
        Golden.assertClose("y", torch.cat(ys, 1), whole.y(), 1e-5);
        Golden.assertClose("state", state, whole.lastState(), 1e-5);
    }

    @ParameterizedTest
    @EnumSource
    void badValuesStayInTheirDocument(Form form) {
        Random random = new Random(3);
        Tensor u = random(random, 1, 9, 3);
        Tensor delta = random(random, 1, 9, 3);
        Tensor a = random(random, 3, 4).exp().neg();
        Tensor b = random(random, 1, 9, 4);
        Tensor resets = Tensors.zeros(1, 9).to(ScalarType.Bool);
        resets.narrow(1, 4, 1).logical_not_();
        ScanInputs clean = ScanInputs.of(u, delta, a, b, b).withSoftplus(true).withResets(resets);
        Tensor expected = form.scan().apply(clean, false).y().narrow(1, 4, 5).clone();
        u.narrow(1, 2, 1).fill_(new Scalar(Float.NaN));
        Golden.assertClose("y", form.scan().apply(clean, false).y().narrow(1, 4, 5), expected, 0);
    }

    @ParameterizedTest
    @EnumSource
    void resetsThatDoNotFitAreNamed(Form form) {
        Tensor x = Tensors.zeros(2, 5, 3);
        Tensor b = Tensors.zeros(2, 5, 4);
        ScanInputs inputs = ScanInputs.of(x, x, Tensors.zeros(3, 4), b, b);
        assertThatThrownBy(() ->
                        form.scan().apply(inputs.withResets(Tensors.zeros(5, 2).to(ScalarType.Bool)), false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("resets has shape [5, 2], wanted [2, 5]");
        assertThatThrownBy(() -> form.scan().apply(inputs.withResets(Tensors.zeros(2, 5)), false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("resets is Float, wanted uint8 or bool");
    }

    @ParameterizedTest
    @EnumSource
    void whatDoesNotFitIsNamed(Form form) {
        Tensor x = Tensors.zeros(2, 5, 3);
        Tensor b = Tensors.zeros(2, 5, 4);
        assertThatThrownBy(() -> form.scan().apply(ScanInputs.of(x, x, Tensors.zeros(7, 4), b, b), false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("a has shape [7, 4], wanted [3, any]");
    }

    @ParameterizedTest
    @EnumSource(names = "FUSED")
    void otherTypesAreRefused(Form form) {
        Tensor x = Tensors.zeros(2, 5, 3);
        Tensor doubles = x.to(ScalarType.Double);
        Tensor b = Tensors.zeros(2, 5, 4);
        assertThatThrownBy(() -> form.scan().apply(ScanInputs.of(x, doubles, Tensors.zeros(3, 4), b, b), false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("delta is Double");
    }

    private static ScanInputs scanInputs(Map<String, Tensor> inputs, boolean softplus) {
        Tensor none = Tensors.absent();
        return new ScanInputs(
                inputs.getOrDefault("u", none),
                inputs.getOrDefault("delta", none),
                inputs.getOrDefault("A", none),
                inputs.getOrDefault("B", none),
                inputs.getOrDefault("C", none),
                inputs.getOrDefault("D", none),
                inputs.getOrDefault("delta_bias", none),
                inputs.getOrDefault("z", none),
                softplus,
                inputs.getOrDefault("h0", none));
    }

    static void backward(Tensor y, Tensor gradient) {
        if (y.requires_grad()) {
            y.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
        }
    }

    static Tensor leaf(Random random, long... shape) {
        Tensor leaf = random(random, shape);
        leaf.requires_grad_(true);
        return leaf;
    }

    /** Some set, bool. */
    static Tensor flags(Random random, long... shape) {
        return random(random, shape).lt(new Scalar(2 * RESET_RATE - 1));
    }

    static Tensor random(Random random, long... shape) {
        int count = 1;
        for (long size : shape) {
            count *= (int) size;
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = random.nextFloat(-1, 1);
        }
        return Tensors.of(values, shape);
    }
}
