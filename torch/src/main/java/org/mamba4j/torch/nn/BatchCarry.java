package org.mamba4j.torch.nn;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * Where several sequences of equal length stand: {@link TorchState} without what a single one needs of files. What grows
 * with the tokens is laid out for a number of them that is known from the start.
 */
final class BatchCarry extends CommittedCarry {
    private static final AtomicLong READINGS = new AtomicLong();

    private final String weights = "reading " + READINGS.incrementAndGet(); // they do not change meanwhile
    private final Map<String, Tensor> growing = new HashMap<>();
    private final int capacity;

    /** @param capacity most tokens whose keys and values can be kept; 0 for models that keep none */
    BatchCarry(int capacity) {
        this.capacity = capacity;
    }

    @Override
    public Tensor get(int layer, String part) {
        return tensors.getOrDefault(name(layer, part), Tensors.absent());
    }

    @Override
    public Tensor append(int layer, String part, Tensor rows) {
        long end = tokensSeen + rows.size(2);
        if (end > capacity) {
            throw new IllegalStateException("a state of " + capacity + " tokens is told " + end);
        }
        Tensor all = growing.get(name(layer, part)); // (B, H, capacity, n)
        if (all == null) {
            try (TensorScope scope = TensorScope.temporaries()) {
                all = scope.release(Tensors.emptyLike(
                        rows, rows.scalar_type().intern(), rows.size(0), rows.size(1), capacity, rows.size(3)));
            }
            growing.put(name(layer, part), all);
        }
        all.narrow(2, tokensSeen, rows.size(2)).copy_(rows);
        return all.narrow(2, 0, end);
    }

    @Override
    public String weights() {
        return weights;
    }

    @Override
    public void close() {
        super.close();
        growing.values().forEach(Tensor::close);
    }
}
