package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/** One scan on the GPU: its sizes, how its length is cut into ranges, its workspaces and its launches. */
final class CudaScanLaunch {
    /** Bytes of the kernels' {@code ScanParams}: 29 pointers, 25 64-bit and 6 32-bit integers. */
    private static final long PARAMETER_BYTES = 29 * 8 + 25 * 8 + 6 * 4;

    private static final Ranges.Cost FORWARD_COST = new Ranges.Cost(0.5, 0.8, 4);
    private static final Ranges.Cost BACKWARD_COST = new Ranges.Cost(5.1, 1.4, 3);
    private static final int SUM_THREADS = 256;
    private static final int WARP = 32;
    private static final Tensor ABSENT = Tensors.absent();

    private final ScanInputs in;
    private final int batch;
    private final long length;
    private final int channels;
    private final int states;
    private final List<String> options;
    private final KernelModule forward;
    private final Geometry forwardGeometry;
    private final long tiles;

    CudaScanLaunch(ScanInputs in) {
        this.in = in;
        this.batch = Math.toIntExact(in.u().size(0));
        this.length = in.u().size(1);
        this.channels = Math.toIntExact(in.u().size(2));
        this.states = Math.toIntExact(in.a().size(1));
        this.options =
                CudaOptions.of(in.u(), in.resets()).with("STATES", states).list();
        this.forward = module("forward");
        this.forwardGeometry = Geometry.of(forward.ints("selective_scan_forward_geometry"));
        this.tiles = Math.ceilDiv(length, (long) forwardGeometry.tile);
    }

    static boolean isActivation(ScalarType type) {
        return type == ScalarType.Float || type == ScalarType.BFloat16;
    }

    /** (B, D, N) */
    Tensor newStates() {
        return Tensors.emptyLike(in.u(), ScalarType.Float, batch, channels, states);
    }

    /** The state before every few steps (B, L / steps, D, N), in the activations' type. */
    Tensor newCheckpoints() {
        return activations(batch, tiles * forwardGeometry.savedPerTile(), channels, states);
    }

    void forward(Tensor y, Tensor last, Tensor checkpoints) {
        if (isEmpty()) {
            passStateOn(last);
            return;
        }
        Ranges ranges = Ranges.cut(tiles, forwardGeometry.blocks(channels) * batch, FORWARD_COST);
        Results results = Results.NONE.withForward(y, last, checkpoints).withEdges(newEdges(ranges), newEdges(ranges));
        findEdges(false, ranges, results);
        launch(
                forward,
                "selective_scan_forward",
                LaunchShape.grid(forwardGeometry.blocks(channels), ranges.count, batch, forwardGeometry.threads),
                ranges,
                results);
    }

    /**
     * Fills {@code gradients}, in the order of {@link CudaScan#apply}'s inputs; absent ones are not wanted.
     *
     * @param y what {@link #forward} returned; not needed where there is no z
     */
    void backward(Tensor y, Tensor gradY, Tensor checkpoints, List<Tensor> gradients) {
        if (isEmpty()) {
            gradients.stream().filter(Tensor::defined).forEach(Tensor::zero_);
            return;
        }
        KernelModule backward = module("backward");
        Geometry geometry = Geometry.of(backward.ints("selective_scan_backward_geometry"));
        int blocks = geometry.blocks(channels);
        Ranges ranges = Ranges.cut(tiles, blocks * batch, BACKWARD_COST);
        long parts = (long) batch * ranges.count;
        Results results = Results.NONE
                .withForward(y, ABSENT, checkpoints)
                .withEdges(newEdges(ranges), newEdges(ranges))
                .withBackward(new Gradients(
                        gradY,
                        orScratch(gradients.get(0), in.u()),
                        orScratch(gradients.get(1), in.delta()),
                        orScratch(gradients.get(7), in.z()),
                        orScratch(gradients.get(3), in.b()),
                        orScratch(gradients.get(4), in.c()),
                        orScratch(gradients.get(2), in.a()),
                        gradients.get(5),
                        gradients.get(6),
                        gradients.get(8),
                        activations(blocks, batch, length, 2L * geometry.paddedStates),
                        floats(parts, channels, states),
                        floats(parts, 2, channels)));
        findEdges(true, ranges, results);
        launch(
                backward,
                "selective_scan_backward",
                LaunchShape.grid(blocks, ranges.count, batch, geometry.threads).withSharedBytes(geometry.sharedBytes),
                ranges,
                results);
        launch(
                backward,
                "selective_scan_sum_bc",
                elementwise(batch * length * geometry.paddedStates / 2),
                ranges,
                results);
        launch(backward, "selective_scan_sum_parameters", elementwise((long) channels * (states + 2)), ranges, results);
    }

    /** Writes y (float32, as all inputs are) by plain kernels in double, which the fast ones are checked against. */
    void plainForward(Tensor y) {
        plain("forward", Results.NONE.withForward(y, ABSENT, ABSENT));
    }

    /**
     * Fills {@code gradients} by plain kernels in double.
     *
     * @param inner workspace (B, L, D, N) double
     * @param gradients as in {@link #backward}, all of them; those of a, b, c, d and deltaBias are double and zero
     */
    void plainBackward(Tensor gradY, Tensor inner, List<Tensor> gradients) {
        plain(
                "backward",
                Results.NONE
                        .withEdges(inner, ABSENT)
                        .withBackward(new Gradients(
                                gradY,
                                gradients.get(0),
                                gradients.get(1),
                                gradients.get(7),
                                gradients.get(3),
                                gradients.get(4),
                                gradients.get(2),
                                gradients.get(5),
                                gradients.get(6),
                                gradients.get(8),
                                ABSENT,
                                ABSENT,
                                ABSENT)));
    }

    private void plain(String pass, Results results) {
        KernelModule module = module("reference");
        launch(
                module,
                "selective_scan_reference_" + pass,
                LaunchShape.grid(Math.ceilDiv(channels, WARP), batch, 1, WARP),
                new Ranges(1, Math.toIntExact(tiles)),
                results);
    }

    /** What each range makes of a state that enters it; on the way back, what enters each range. */
    private void findEdges(boolean back, Ranges ranges, Results results) {
        if (ranges.count == 1) {
            return;
        }
        KernelModule carry = module("carry");
        int[] geometry = carry.ints("selective_scan_carry_geometry");
        launch(
                carry,
                back ? "selective_scan_adjoint_range_ends" : "selective_scan_range_ends",
                LaunchShape.grid(Math.ceilDiv(channels, geometry[0]), ranges.count - 1, batch, geometry[1]),
                ranges,
                results);
        if (back) {
            launch(
                    carry,
                    "selective_scan_adjoint_carry",
                    LaunchShape.grid(Math.ceilDiv(channels * states, SUM_THREADS), batch, 1, SUM_THREADS),
                    ranges,
                    results);
        }
    }

    private void launch(KernelModule module, String kernel, LaunchShape shape, Ranges ranges, Results results) {
        module.kernel(kernel).launch(shape, PARAMETER_BYTES, writer -> write(writer, ranges, results));
    }

    /** The fields of {@code ScanParams} in selective_scan.cuh, in their order. */
    private void write(StructWriter to, Ranges ranges, Results r) {
        Gradients g = r.gradients;
        to.pointer(in.u()).pointer(in.delta()).pointer(in.z()).pointer(in.b()).pointer(in.c());
        to.pointer(in.a()).pointer(in.d()).pointer(in.deltaBias()).pointer(in.initialState());
        to.pointer(in.resets());
        to.pointer(r.y).pointer(r.last).pointer(r.checkpoints).pointer(r.ends).pointer(r.factors);
        to.pointer(g.y).absent(); // gradient of the last state: it has none
        to.pointer(g.u).pointer(g.delta).pointer(g.z).pointer(g.b).pointer(g.c);
        to.pointer(g.a).pointer(g.d).pointer(g.deltaBias).pointer(g.initialState);
        to.pointer(g.partBC).pointer(g.partA).pointer(g.partV);
        to.strides(in.u()).strides(in.delta()).strides(in.z()).strides(in.b()).strides(in.c());
        to.strides(r.y)
                .strides(g.y)
                .strides(g.u)
                .strides(g.delta)
                .strides(g.z)
                .strides(g.b)
                .strides(g.c);
        to.int64(length).int32(channels).int32(batch).int32(ranges.count).int32(ranges.tilesPerRange);
        boolean wide = CudaOptions.aligned(in.u(), in.delta(), in.z(), r.y, g.y, g.u, g.delta, g.z);
        boolean narrow = CudaOptions.aligned(in.b(), in.c());
        to.int32(in.softplus() ? 1 : 0).int32((wide ? 1 : 0) + (narrow ? 2 : 0));
    }

    private boolean isEmpty() {
        return batch == 0 || length == 0 || channels == 0;
    }

    private void passStateOn(Tensor last) {
        if (last.defined()) {
            if (in.initialState().defined()) {
                last.copy_(in.initialState());
            } else {
                last.zero_();
            }
        }
    }

    private Tensor newEdges(Ranges ranges) {
        return ranges.count == 1 ? ABSENT : floats(batch, ranges.count, channels, states);
    }

    private Tensor orScratch(Tensor gradient, Tensor input) {
        return gradient.defined() || !input.defined() ? gradient : Tensors.emptyLike(input);
    }

    private Tensor floats(long... shape) {
        return Tensors.emptyLike(in.u(), ScalarType.Float, shape);
    }

    private Tensor activations(long... shape) {
        return Tensors.emptyLike(in.u(), in.u().scalar_type().intern(), shape);
    }

    private static LaunchShape elementwise(long elements) {
        return LaunchShape.of(Math.toIntExact(Math.ceilDiv(elements, (long) SUM_THREADS)), SUM_THREADS);
    }

    /** Compiled when first asked for, so that who only runs forward does not wait for the backward kernels. */
    private KernelModule module(String name) {
        return KernelModule.load(CudaScan.class, "selective_scan_" + name + ".cu", options);
    }

    /** What a kernel's source says of its launch. */
    private record Geometry(
            int channelsPerBlock, int threads, int sharedBytes, int tile, int paddedStates, int stepsPerSaved) {
        static Geometry of(int... values) {
            return new Geometry(values[0], values[1], values[2], values[3], values[4], values[5]);
        }

        int savedPerTile() {
            return tile / stepsPerSaved;
        }

        int blocks(int channels) {
            return Math.ceilDiv(channels, channelsPerBlock);
        }
    }

    /** How the tiles of a sequence are cut into ranges that are worked on at the same time. */
    private record Ranges(int count, int tilesPerRange) {
        private static final double EDGE_MICROS_PER_TILE = 0.6;
        private static final int REMEMBERED_TILES = 128;
        private static final double EDGE_MICROS_PER_RANGE = 0.25;
        private static final double EDGE_LAUNCH_MICROS = 6;

        /**
         * What a multiprocessor takes for a tile of each of its k blocks: base + perBlock · k microseconds, up to the
         * {@code resident} that fit at once; what is more comes after. Fitted to sweeps on an H200 with bfloat16 and
         * N = 16.
         */
        record Cost(double base, double perBlock, int resident) {
            double micros(long tiles, long blocks) {
                long full = blocks / resident;
                long rest = blocks % resident;
                double each = full * (base + resident * perBlock) + (rest == 0 ? 0 : base + rest * perBlock);
                return tiles * each;
            }
        }

        /**
         * The cut of least estimated time. With more than one range, finding the states at their edges is taken as 0.6
         * microseconds for a tile of each block of a multiprocessor, over 128 tiles (it depends on how long the data's
         * past is remembered), and walking over them as a quarter of a microsecond each.
         *
         * @param blocks blocks of one range
         */
        static Ranges cut(long tiles, int blocks, Cost cost) {
            long processors = CudaOptions.multiprocessors();
            Ranges chosen = new Ranges(1, Math.toIntExact(tiles));
            double best = cost.micros(tiles, Math.ceilDiv((long) blocks, processors));
            for (int per = 1; per < tiles; per++) {
                int count = Math.toIntExact(Math.ceilDiv(tiles, (long) per));
                double edges =
                        EDGE_MICROS_PER_TILE * (count - 1) * Math.min(per, REMEMBERED_TILES) * blocks / processors;
                double micros = cost.micros(per, Math.ceilDiv((long) blocks * count, processors))
                        + edges
                        + EDGE_LAUNCH_MICROS
                        + EDGE_MICROS_PER_RANGE * count;
                if (micros < best) {
                    best = micros;
                    chosen = new Ranges(count, per);
                }
            }
            return chosen;
        }
    }

    private record Gradients(
            Tensor y,
            Tensor u,
            Tensor delta,
            Tensor z,
            Tensor b,
            Tensor c,
            Tensor a,
            Tensor d,
            Tensor deltaBias,
            Tensor initialState,
            Tensor partBC,
            Tensor partA,
            Tensor partV) {
        static final Gradients NONE = new Gradients(
                ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT);
    }

    private record Results(
            Tensor y, Tensor last, Tensor checkpoints, Tensor ends, Tensor factors, Gradients gradients) {
        static final Results NONE = new Results(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, Gradients.NONE);

        Results withForward(Tensor newY, Tensor newLast, Tensor newCheckpoints) {
            return new Results(newY, newLast, newCheckpoints, ends, factors, gradients);
        }

        Results withEdges(Tensor newEnds, Tensor newFactors) {
            return new Results(y, last, checkpoints, newEnds, newFactors, gradients);
        }

        Results withBackward(Gradients newGradients) {
            return new Results(y, last, checkpoints, ends, factors, newGradients);
        }
    }
}
