package org.mamba4j.torch.parallel;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.ByteVector;
import org.bytedeco.pytorch.PrefixStore;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.StringVector;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_gloo;
import org.bytedeco.pytorch.global.torch_nccl;
import org.bytedeco.pytorch.nccl.ProcessGroupNCCL;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.torch.NativeLibraries;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.nn.Parameter;

/**
 * Ranks that talk through libtorch's c10d: a key-value store that rank 0 holds and through which all find each other,
 * Gloo over TCP for what the processes tell each other, and for gradients Gloo again (CPU) or NCCL (GPU).
 *
 * <p>Numbers and gradients go through groups of their own, as all ranks must begin the operations of one group in the
 * same order, and gradients are sent from within the backward pass.
 */
final class Group implements Ranks {
    /** Name of the environment variable with the seconds after which a silent rank is taken for dead. */
    private static final String TIMEOUT = "MAMBA4J_RANK_TIMEOUT";

    /** Small enough to overlap with a backward pass on a CPU. */
    private static final long GLOO_BUCKET_BYTES = 8L << 20;

    /** Measured: over NVLink a step of 129 M parameters takes 1 % less with these than with four times as many. */
    private static final long NCCL_BUCKET_BYTES = 32L << 20;

    private static final int DEFAULT_SECONDS = 600;
    private static final int WORK_OF_FIRST_HOURS = 24;

    private static final List<Pointer> OWNED_BY_LIBTORCH = Collections.synchronizedList(new ArrayList<>());

    private final Placement placement;
    private final TCPStore store;
    private final Backend numbers;
    private final Backend gradients;
    private BooleanSupplier wish = () -> false;
    private boolean asked;
    private boolean finished;
    private int messages;

    private Group(Placement placement, TCPStore store, Backend numbers, Backend gradients) {
        this.placement = placement;
        this.store = store;
        this.numbers = numbers;
        this.gradients = gradients;
    }

    static Group join(Placement placement, String device) {
        Torch.load();
        NativeLibraries.load(torch_gloo.class);
        Supervised.dieWithSupervisor();
        String own = ownAddress(placement);
        try (TensorScope scope = new TensorScope()) {
            TCPStore store = scope.release(store(placement));
            return ConsoleSilence.during(() -> {
                Backend numbers = scope.release(gloo(placement, prefixed("numbers", store), own));
                Backend gradients = scope.release(
                        device.equals("cpu")
                                ? gloo(placement, prefixed("gradients", store), own)
                                : nccl(placement, prefixed("gradients", store)));
                return new Group(placement, store, numbers, gradients);
            });
        } catch (RuntimeException e) {
            throw Supervised.orEnd(new UserError(
                    "rank " + placement.rank() + " of " + placement.size() + " cannot meet the others through "
                            + placement.host() + ":" + placement.port() + " (" + reason(e)
                            + "): start all ranks with the same --master HOST:PORT, an address and a free port of rank"
                            + " 0's host",
                    e));
        }
    }

    private static TCPStore store(Placement placement) {
        TCPStoreOptions options = new TCPStoreOptions();
        options.port((short) placement.port());
        options.isServer(placement.rank() == 0);
        options.waitWorkers(false);
        options.timeout(timeout());
        return new TCPStore(placement.host(), options);
    }

    /**
     * A part of {@code store} for one group. The binding counts references only of what libtorch has returned: so a clone
     * goes in rather than the store itself, and what comes out, which the group will free, must never be freed here.
     */
    private static PrefixStore prefixed(String prefix, TCPStore store) {
        try (TensorScope scope = new TensorScope()) {
            PrefixStore part = scope.release(new PrefixStore(prefix, store.clone()));
            OWNED_BY_LIBTORCH.add(part);
            return part;
        }
    }

    private static Backend gloo(Placement placement, PrefixStore store, String own) {
        ProcessGroupGloo.Options options = ProcessGroupGloo.Options.create(timeout());
        @Nullable String networkInterface = System.getenv("GLOO_SOCKET_IFNAME");
        options.devices()
                .push_back(
                        networkInterface == null
                                ? ProcessGroupGloo.createDeviceForHostname(own)
                                : ProcessGroupGloo.createDeviceForInterface(networkInterface));
        return new ProcessGroupGloo(store, placement.rank(), placement.size(), options);
    }

    private static Backend nccl(Placement placement, PrefixStore store) {
        NativeLibraries.load(torch_nccl.class);
        ProcessGroupNCCL.Options options = ProcessGroupNCCL.Options.create(true);
        options.timeout(timeout());
        return new ProcessGroupNCCL(store, placement.rank(), placement.size(), options);
    }

    /** The address of this host on the way to rank 0, found by asking the routing table: nothing is sent. */
    private static String ownAddress(Placement placement) {
        try (DatagramSocket socket = new DatagramSocket()) {
            InetSocketAddress master = new InetSocketAddress(placement.host(), placement.port());
            if (master.isUnresolved()) {
                throw new UserError("host " + placement.host() + " of rank 0 is unknown: give its name or address with"
                        + " --master HOST:PORT");
            }
            socket.connect(master);
            return socket.getLocalAddress().getHostAddress();
        } catch (IOException e) {
            throw new UserError(
                    "there is no way from here to " + placement.host() + " (" + e.getMessage()
                            + "): give an address of rank 0's host with --master HOST:PORT",
                    e);
        }
    }

    private static Milliseconds timeout() {
        String text = System.getenv().getOrDefault(TIMEOUT, Integer.toString(DEFAULT_SECONDS));
        try {
            return new Milliseconds(1000L * Math.clamp(Integer.parseInt(text), 1, 1_000_000));
        } catch (NumberFormatException e) {
            throw new UserError("environment variable " + TIMEOUT + " is '" + text + "', not a number of seconds", e);
        }
    }

    @Override
    public int rank() {
        return placement.rank();
    }

    @Override
    public int size() {
        return placement.size();
    }

    @Override
    public int threads(int processors) {
        return Math.max(1, processors / placement.localSize());
    }

    @Override
    public double[] sum(double... values) {
        double[] all = Arrays.copyOf(values, values.length + 1);
        all[values.length] = wish.getAsBoolean() ? 1 : 0;
        reached(
                "adding up numbers",
                () -> TensorScope.call(() -> {
                    Tensor tensor = Tensors.empty(ScalarType.Double, all.length);
                    MemorySegment memory = Tensors.segment(tensor);
                    MemorySegment.copy(all, 0, memory, ValueLayout.JAVA_DOUBLE, 0, all.length);
                    numbers.allreduce(new TensorVector(tensor))._wait();
                    MemorySegment.copy(memory, ValueLayout.JAVA_DOUBLE, 0, all, 0, all.length);
                    return all;
                }));
        asked = all[values.length] > 0;
        return Arrays.copyOf(all, values.length);
    }

    @Override
    public String fromFirst(String text) {
        String key = "message" + messages++;
        return reached(
                "waiting for rank 0",
                () -> TensorScope.call(() -> {
                    if (isFirst()) {
                        store.set(key, new ByteVector(text.getBytes(StandardCharsets.UTF_8)));
                        return text;
                    }
                    store._wait(new StringVector(key), new Milliseconds(WORK_OF_FIRST_HOURS * 3_600_000L));
                    ByteVector said = store.get(key);
                    byte[] bytes = new byte[(int) said.size()];
                    for (int i = 0; i < bytes.length; i++) {
                        bytes[i] = said.get(i);
                    }
                    return new String(bytes, StandardCharsets.UTF_8);
                }));
    }

    @Override
    public void watch(BooleanSupplier asked) {
        wish = asked;
    }

    @Override
    public boolean isAsked() {
        return asked;
    }

    /** As {@link #exchange(Collection)}, in buckets of another size. */
    GradientBuckets exchange(Collection<Parameter> parameters, long bucketBytes) {
        return new GradientBuckets(this, gradients, parameters, bucketBytes);
    }

    @Override
    public GradientExchange exchange(Collection<Parameter> parameters) {
        return exchange(parameters, gradients instanceof ProcessGroupGloo ? GLOO_BUCKET_BYTES : NCCL_BUCKET_BYTES);
    }

    /** Runs what needs the other ranks. */
    <T> T reached(String doing, Supplier<T> communication) {
        try {
            return communication.get();
        } catch (RuntimeException e) {
            throw Supervised.orEnd(new LostRankException(
                    "rank " + rank() + " of " + size() + " lost touch with the others while " + doing + " ("
                            + reason(e) + "): one of them has ended, hangs or cannot be reached; continue from the"
                            + " newest checkpoint with --resume",
                    e));
        }
    }

    /** The first line of libtorch's message, without the place in its sources. */
    private static String reason(RuntimeException e) {
        String text = String.valueOf(Torch.translate("", e).getMessage());
        int line = text.indexOf(';');
        return (line < 0 ? text : text.substring(0, line))
                .replaceFirst("^: ", "")
                .replaceFirst("^\\[[^\\]]*\\] ", "")
                .replaceFirst("\\. This may indicate.*", "")
                .strip();
    }

    @Override
    public void finish() {
        if (gradients instanceof ProcessGroupNCCL nccl) {
            reached("ending", () -> {
                nccl.shutdown();
                return true;
            });
        }
        finished = true;
    }

    @Override
    public void close() {
        if (!finished && gradients instanceof ProcessGroupNCCL nccl) {
            nccl.abort(); // the others may never end what they share with this rank
        }
        gradients.close();
        numbers.close();
        store.close();
    }
}
