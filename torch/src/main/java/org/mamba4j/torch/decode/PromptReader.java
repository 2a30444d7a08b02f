package org.mamba4j.torch.decode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.CapturedGraph;

/**
 * Reads the prompts of a batch into its states, by {@link Prompt}, in as many passes as memory asks for.
 *
 * <p>A short prompt's kernels are shorter than their launches. So where prompts come that are as long as those before, their
 * pass is recorded as a CUDA graph.
 */
final class PromptReader implements AutoCloseable {
    /** Positions of all sequences together that are read in one pass. */
    private static final int POSITIONS = 1 << 16;

    /** Positions of a pass that is recorded: what it allocates is kept. */
    private static final int RECORDED = 1 << 15;

    private final DecodeModel model;
    private final DecodeState state;
    private Optional<Recorded> recorded = Optional.empty();
    private Shape last = new Shape(0, true);

    /** @param state of the batch */
    PromptReader(DecodeModel model, DecodeState state) {
        this.model = model;
        this.state = state;
    }

    /** What the kernels of a pass depend on. */
    private record Shape(int length, boolean even) {}

    /** A pass that has been recorded, and the tokens that it reads. */
    private record Recorded(Shape shape, Tensor ids, CapturedGraph graph) {
        void close() {
            graph.close();
            ids.close();
        }
    }

    /** Forgets everything and reads the prompts (B), none of them empty. */
    void read(List<int[]> prompts) {
        List<int[]> rows = aligned(prompts);
        int length = rows.getFirst().length;
        boolean even = prompts.stream().allMatch(prompt -> prompt.length == length);
        Shape shape = new Shape(length, even);
        int each = Math.min(length, Math.max(1, POSITIONS / prompts.size()));
        boolean known = recorded.filter(any -> any.shape().equals(shape)).isPresent();
        if (!known) {
            requireMemory((long) each * prompts.size());
            if (shape.equals(last) && (long) length * prompts.size() <= RECORDED) {
                record(shape);
            }
        }
        last = shape;
        state.reset();
        Optional<Recorded> pass = recorded.filter(any -> any.shape().equals(shape));
        if (pass.isPresent()) {
            TensorScope.run(() -> pass.get().ids().copy_(ids(rows, 0, length)));
            pass.get().graph().replay();
            return;
        }
        for (int from = 0; from < length; from += each) {
            int first = from;
            int count = Math.min(each, length - from);
            TensorScope.run(() -> pass(ids(rows, first, count), even));
        }
    }

    /** What a pass takes at its height: the residual stream, and a layer's activations. */
    private void requireMemory(long positions) {
        MambaConfig config = model.config();
        int element = model.sizes().bytes();
        long stream = (long) config.dModel() * (Float.BYTES + 2 * element);
        long layer = (6L * config.dInner() + model.sizes().selectRow()) * element;
        DeviceMemory.require(
                "reading " + positions + " tokens of " + state.batch() + " prompts at once",
                positions * (stream + layer),
                "use a smaller batch");
    }

    private void record(Shape shape) {
        recorded.ifPresent(Recorded::close);
        recorded = Optional.empty();
        Tensor ids = DeviceMemory.zeros(model.device(), ScalarType.Long, state.batch(), shape.length());
        Runnable work = () -> TensorScope.run(() -> pass(ids, shape.even()));
        CapturedGraph.rehearse(work);
        recorded = Optional.of(new Recorded(shape, ids, CapturedGraph.record(work)));
    }

    /** @param ids (B, L) int64 on the GPU, -1 where nothing is to be read */
    private void pass(Tensor ids, boolean even) {
        Tensor real = even
                ? Tensors.absent()
                : ids.ge(new Scalar(0)).unsqueeze(2).to(model.sizes().type()); // (B, L, 1)
        Tensor x = model.prompt().read(even ? ids : ids.clamp_min(new Scalar(0)), real, state);
        model.keepHidden(x, state);
    }

    /** (B, count) int64 on the GPU. */
    private Tensor ids(List<int[]> rows, int from, int count) {
        int[] flat = new int[rows.size() * count];
        for (int b = 0; b < rows.size(); b++) {
            System.arraycopy(rows.get(b), from, flat, b * count, count);
        }
        return Tensors.on(model.device(), Tensors.ofTokens(flat, 0, rows.size(), count));
    }

    /** Prompts, each with positions before it that stand for nothing (-1), so that all are as long as the longest. */
    private static List<int[]> aligned(List<int[]> prompts) {
        int longest = prompts.stream().mapToInt(prompt -> prompt.length).max().orElse(0);
        List<int[]> rows = new ArrayList<>();
        for (int[] prompt : prompts) {
            int[] row = new int[longest];
            Arrays.fill(row, 0, longest - prompt.length, -1);
            System.arraycopy(prompt, 0, row, longest - prompt.length, prompt.length);
            rows.add(row);
        }
        return rows;
    }

    @Override
    public void close() {
        recorded.ifPresent(Recorded::close);
    }
}
