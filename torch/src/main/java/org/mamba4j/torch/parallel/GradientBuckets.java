package org.mamba4j.torch.parallel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorBase;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.VoidTensorHook;
import org.bytedeco.pytorch.Work;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.nn.Parameter;

/**
 * Adds up gradients in buckets [1]: the gradients of some neighbouring parameters are views of one tensor, which is sent
 * as soon as all of them are complete. A backward pass completes them from the last layer to the first, so buckets are
 * filled in the reverse of the parameters' order, and most are on their way while the pass still runs. One large message
 * costs less than many small ones, while a bucket of everything could not overlap: a few megabytes are the middle.
 *
 * <p>Buckets are sent in a fixed order whatever the order of completion, as all ranks must send the same.
 *
 * <p>With libtorch's autograd, a hook on each parameter tells that its gradient has been computed, but just before it is
 * added to what is there; it has been added by the time of the next hook. So each hook reports the parameter before.
 *
 * <p>[1] Li et al., <i>PyTorch Distributed: Experiences on Accelerating Data Parallel Training</i>, 2020.
 */
final class GradientBuckets implements GradientExchange {
    /** Views begin at multiples of so many floats: 128 bytes, as if each tensor had been allocated by itself. */
    private static final long ALIGNMENT = 32;

    private final Group group;
    private final Backend backend;
    private final List<Bucket> buckets = new ArrayList<>();
    private final NavigableMap<String, Bucket> byParameter = new TreeMap<>();
    private final List<Pointer> owned = new ArrayList<>();
    private final List<Work> works = new ArrayList<>();
    private boolean armed;
    private int sent;
    private @Nullable Parameter computed;

    /** The gradients of some parameters in one tensor. */
    private static final class Bucket {
        private final List<Parameter> parameters = new ArrayList<>();
        private long floats;
        private @Nullable Tensor memory;
        private int missing;
    }

    /**
     * @param bucketBytes at which a bucket is full; a larger parameter has one alone
     */
    GradientBuckets(Group group, Backend backend, Collection<Parameter> parameters, long bucketBytes) {
        this.group = group;
        this.backend = backend;
        for (Parameter parameter : List.copyOf(parameters).reversed()) {
            long floats = aligned(parameter);
            if (buckets.isEmpty() || 4 * (buckets.getLast().floats + floats) > bucketBytes) {
                buckets.add(new Bucket());
            }
            Bucket bucket = buckets.getLast();
            bucket.parameters.add(parameter);
            bucket.floats += floats;
            byParameter.put(parameter.name(), bucket);
        }
        NoGrad.run(() -> {
            buckets.forEach(this::allocate);
            parameters.forEach(this::hook);
        });
    }

    private static long aligned(Parameter parameter) {
        return Math.ceilDiv(parameter.tensor().numel(), ALIGNMENT) * ALIGNMENT;
    }

    private void allocate(Bucket bucket) {
        try (TensorScope scope = new TensorScope()) {
            Tensor first = bucket.parameters.getFirst().tensor();
            Tensor memory = scope.release(torch.zeros(new long[] {bucket.floats}, first.options()));
            owned.add(memory);
            bucket.memory = memory;
            long at = 0;
            for (Parameter parameter : bucket.parameters) {
                Tensor tensor = parameter.tensor();
                tensor.mutable_grad().put(memory.narrow(0, at, tensor.numel()).view(tensor.shape()));
                at += aligned(parameter);
            }
        }
    }

    private void hook(Parameter parameter) {
        try (TensorScope scope = new TensorScope()) {
            Computed hook = scope.release(new Computed(this, parameter));
            owned.add(hook);
            parameter.tensor().register_hook(hook);
        }
    }

    /** Told by libtorch that a parameter's gradient is about to be added to what is there. */
    private static final class Computed extends VoidTensorHook {
        private final transient GradientBuckets buckets;
        private final transient Parameter parameter;

        Computed(GradientBuckets buckets, Parameter parameter) {
            this.buckets = buckets;
            this.parameter = parameter;
        }

        @Override
        public void call(TensorBase gradient) {
            buckets.computed(parameter);
        }
    }

    private synchronized void computed(Parameter parameter) {
        if (armed) {
            if (computed != null) {
                complete(computed.name());
            }
            computed = parameter;
        }
    }

    @Override
    public synchronized void arm() {
        armed = true;
        sent = 0;
        computed = null;
        buckets.forEach(bucket -> bucket.missing = bucket.parameters.size());
    }

    @Override
    public synchronized void ready(String names) {
        if (armed) {
            byParameter.subMap(names, names + Character.MAX_VALUE).keySet().forEach(this::complete);
        }
    }

    private void complete(String name) {
        @Nullable Bucket bucket = byParameter.get(name);
        if (bucket == null || --bucket.missing < 0) {
            throw new IllegalStateException("the gradient of " + name + " is complete a second time");
        }
        while (sent < buckets.size() && buckets.get(sent).missing == 0) {
            send();
        }
    }

    private void send() {
        send(buckets.get(sent++).memory);
    }

    private void send(@Nullable Tensor memory) {
        group.reached("adding up gradients", () -> {
            try (TensorScope scope = new TensorScope()) {
                return works.add(scope.release(backend.allreduce(new TensorVector(memory))));
            }
        });
    }

    @Override
    public synchronized void finish() {
        while (sent < buckets.size()) {
            send();
        }
        await();
        armed = false;
    }

    @Override
    public synchronized void addUp(Tensor numbers) {
        send(numbers);
        await();
    }

    private void await() {
        for (Work work : works) {
            group.reached("adding up gradients", work::_wait);
            work.close();
        }
        works.clear();
    }

    /** How many buckets are on their way, of how many; for tests. */
    synchronized String progress() {
        return sent + " of " + buckets.size();
    }

    /** Frees the gradients: the parameters must not be used any more. */
    @Override
    public void close() {
        owned.forEach(Pointer::close);
    }
}
