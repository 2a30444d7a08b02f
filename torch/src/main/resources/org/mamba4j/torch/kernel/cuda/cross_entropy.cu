// Cross entropy of rows of logits, and its gradient in place of the logits.
//
//   ce = log(sum_j exp(x_j)) - x_t,   loss = sum over rows of w ce / normaliser,
//   x_j <- (exp(x_j) / sum - [j = t]) w / normaliser;   rows of target -100: loss 0, gradient 0, logits not read.
//
// The normaliser, which is the number of targets that count or the sum of all weights, comes from the targets and weights
// alone, so that rows can be worked off in chunks: cross_entropy_normaliser first, then cross_entropy per chunk, each
// row leaving its share of the loss in `losses`, and cross_entropy_sum last. Sums are in double and in a fixed order, so
// the loss is the same bits whatever the chunks.
//
// Idea. A row is read once, kept, and written once. Short rows (cross_entropy_rows) lie in the registers of a few lanes.
// Longer ones (cross_entropy_row) go to a block's shared memory by asynchronous copies, all of them in flight at once; a
// thread reads only what it has copied itself, so it starts as soon as its first 16 bytes are there, and two blocks per
// multiprocessor overlap one's reading with the other's writing. Rows too long for that are read twice. The largest
// logit is not known before the sum starts: every 16 bytes, a thread rescales its sum if they hold a larger one.
//
// Rows need not begin at multiples of 16 bytes: a row's first and last 16 bytes, which it may share with its neighbours,
// are then read and written element by element.
//
// Logits that are not numbers, or +inf, make the loss not a number; so does a target outside of [0, V) but -100.
//
// Macros: IO_BF16; VOCABULARY: V; ALIGNED: rows begin at multiples of 16 bytes; GRADIENT: 0 leaves the logits alone;
// LANES: of a row in cross_entropy_rows; ROW_THREADS: of a block in cross_entropy_row; KEEP: the row fits shared memory.
// Launch: cross_entropy_rows: grid ceil(rows LANES / 256), block 256; cross_entropy_row: grid rows, block ROW_THREADS,
// 16 CHUNKS bytes of shared memory if KEEP (cross_entropy_geometry); cross_entropy_normaliser and _sum: one block of 1,024.
#include "vectors.cuh"

#ifndef VOCABULARY
#define VOCABULARY 50280
#endif
#ifndef ALIGNED
#define ALIGNED 1
#endif
#ifndef GRADIENT
#define GRADIENT 1
#endif
#ifndef LANES
#define LANES 16
#endif
#ifndef ROW_THREADS
#define ROW_THREADS 512
#endif
#ifndef KEEP
#define KEEP 1
#endif
#define IGNORED (-100)
#define LOWEST (-3.4028235e38f)                     // where a maximum starts: -inf less itself would not be a number

constexpr int E = 16 / sizeof(io_t);                // elements of 16 bytes
constexpr int CHUNKS = ceil_div(VOCABULARY + (ALIGNED ? 0 : E - 1), E);

struct CrossEntropyParams {
    io_t *logits;                                   // (rows,V), `stride` elements from row to row
    const i64 *targets;                             // (rows)
    const float *weights;                           // (rows), may be null
    float *normaliser;                              // one number, written by cross_entropy_normaliser
    float *losses;                                  // (rows)
    float *loss;                                    // one number, written by cross_entropy_sum
    i64 rows, stride;
};

// For the host: 16-byte chunks of a row.
extern "C" __device__ int cross_entropy_geometry[1] = {CHUNKS};

__device__ __forceinline__ void spread(const uint4 &r, float (&x)[E]) {
    const u32 w[4] = {r.x, r.y, r.z, r.w};
#pragma unroll
    for (int i = 0; i < E; i++) {
#if IO_BF16
        x[i] = __uint_as_float(i % 2 ? w[i / 2] & 0xffff0000u : w[i / 2] << 16);
#else
        x[i] = __uint_as_float(w[i]);
#endif
    }
}

__device__ __forceinline__ uint4 narrow(const float (&x)[E]) {
#if IO_BF16
    return make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
#else
    return make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3]));
#endif
}

struct Row {
    io_t *start;                                    // a multiple of 16 bytes, `before` elements before the row
    int before;

    __device__ __forceinline__ explicit Row(io_t *p) {
        before = ALIGNED ? 0 : (int) ((i64) p & 15) / (int) sizeof(io_t);
        start = p - before;
    }

    // Whether chunk k is the row's alone.
    __device__ __forceinline__ bool whole(int k) const { return k * E >= before && (k + 1) * E <= before + VOCABULARY; }

    __device__ __forceinline__ bool holds(int k, int i) const { return k * E + i >= before && k * E + i < before + VOCABULARY; }

    // Chunk k, -inf where the row has no element.
    __device__ __forceinline__ uint4 load(int k) const {
        if (whole(k)) return *(const uint4 *) (start + k * E);
        union {
            io_t e[E];
            uint4 all;
        } r;
#pragma unroll
        for (int i = 0; i < E; i++) {
            put(&r.e[i], __uint_as_float(0xff800000u));
            if (holds(k, i)) r.e[i] = start[k * E + i];
        }
        return r.all;
    }

    __device__ __forceinline__ void store(int k, const float (&x)[E]) const {
        if (whole(k)) {
            *(uint4 *) (start + k * E) = narrow(x);
            return;
        }
#pragma unroll
        for (int i = 0; i < E; i++)
            if (holds(k, i)) put(start + k * E + i, x[i]);
    }
};

// A maximum, and the sum of the exponentials of what lies how far below it.
struct Mass {
    float max, sum;

    __device__ __forceinline__ void add(const float (&x)[E]) {
        float top = x[0];
#pragma unroll
        for (int i = 1; i < E; i++) top = fmaxf(top, x[i]);
        if (top > max) {
            sum *= fast_exp2((max - top) * LOG2E);
            max = top;
        }
        float part = 0.f;
#pragma unroll
        for (int i = 0; i < E; i++) part += fast_exp2((x[i] - max) * LOG2E);
        sum += part;
    }

    __device__ __forceinline__ void merge(float otherMax, float otherSum) {
        const float top = fmaxf(max, otherMax);
        sum = sum * fast_exp2((max - top) * LOG2E) + otherSum * fast_exp2((otherMax - top) * LOG2E);
        max = top;
    }

    // Over the lanes whose numbers differ in the bits below COUNT.
    template <int COUNT>
    __device__ __forceinline__ void merge_lanes() {
#pragma unroll
        for (int bit = 1; bit < COUNT; bit *= 2)
            merge(__shfl_xor_sync(0xffffffffu, max, bit), __shfl_xor_sync(0xffffffffu, sum, bit));
    }
};

// What a row needs besides its logits.
struct Target {
    i64 index;
    float scale;                                    // weight / normaliser
    float logit;
    bool counts, valid;

    __device__ __forceinline__ Target(const CrossEntropyParams &p, i64 row, bool there) {
        index = there ? p.targets[row] : IGNORED;
        counts = index != IGNORED;
        valid = index >= 0 && index < VOCABULARY;
        scale = counts ? (p.weights ? p.weights[row] : 1.f) / *p.normaliser : 0.f;
        logit = valid ? widen(p.logits[row * p.stride + index]) : __uint_as_float(0x7fc00000u);
    }

    __device__ __forceinline__ float loss(const Mass &m) const { return counts ? (logf(m.sum) + (m.max - logit)) * scale : 0.f; }
};

// The gradient of chunk k from its logits x.
__device__ __forceinline__ void differentiate(const Row &row, int k, const Mass &m, float share, const Target &t, float (&x)[E]) {
#pragma unroll
    for (int i = 0; i < E; i++) x[i] = fast_exp2((x[i] - m.max) * LOG2E) * share;
    const i64 at = t.index + row.before;
    if (t.valid && at / E == k) {
#pragma unroll
        for (int i = 0; i < E; i++)
            if (i == at % E) x[i] -= t.scale;
    }
}

// Short rows: LANES lanes own one.
extern "C" __global__ __launch_bounds__(256) void cross_entropy_rows(const __grid_constant__ CrossEntropyParams p) {
    constexpr int MINE = ceil_div(CHUNKS, LANES) <= 8 ? ceil_div(CHUNKS, LANES) : 1;     // longer rows are not for this kernel
    const i64 index = ((i64) blockIdx.x * 256 + threadIdx.x) / LANES;
    const int lane = threadIdx.x % LANES;
    const bool there = index < p.rows;
    const Target t(p, index, there);
    const Row row(p.logits + (there ? index : 0) * p.stride);
    uint4 kept[MINE];
    Mass m = {LOWEST, 0.f};
    float x[E];
    if (t.counts) {
#pragma unroll
        for (int c = 0; c < MINE; c++)
            if (c * LANES + lane < CHUNKS) kept[c] = row.load(c * LANES + lane);
#pragma unroll
        for (int c = 0; c < MINE; c++)
            if (c * LANES + lane < CHUNKS) {
                spread(kept[c], x);
                m.add(x);
            }
    }
    m.merge_lanes<LANES>();
    if (!there) return;
    if (lane == 0) p.losses[index] = t.loss(m);
#if GRADIENT
    const float share = t.scale / m.sum;
#pragma unroll
    for (int c = 0; c < MINE; c++) {
        const int k = c * LANES + lane;
        if (k < CHUNKS) {
            if (t.counts) {
                spread(kept[c], x);
                differentiate(row, k, m, share, t, x);
            } else {
#pragma unroll
                for (int i = 0; i < E; i++) x[i] = 0.f;
            }
            row.store(k, x);
        }
    }
#endif
}

extern __shared__ uint4 kept_row[];

template <int PENDING>
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Adds the thread's chunks from FIRST on to m, each as soon as its copy has arrived.
template <int FIRST, int COUNT>
__device__ __forceinline__ void add_arriving(Mass &m) {
    if constexpr (FIRST < COUNT) {
        wait_copies<COUNT - 1 - FIRST>();
        const int k = FIRST * ROW_THREADS + threadIdx.x;
        if (k < CHUNKS) {
            float x[E];
            spread(kept_row[k], x);
            m.add(x);
        }
        add_arriving<FIRST + 1, COUNT>(m);
    }
}

// A block per row.
extern "C" __global__ __launch_bounds__(ROW_THREADS) void cross_entropy_row(const __grid_constant__ CrossEntropyParams p) {
    constexpr int WARPS = ROW_THREADS / 32, MINE = KEEP ? ceil_div(CHUNKS, ROW_THREADS) : 0;
    __shared__ float maxima[WARPS], sums[WARPS];
    const i64 index = blockIdx.x;
    const Row row(p.logits + index * p.stride);
    const bool counts = p.targets[index] != IGNORED;
    Mass m = {LOWEST, 0.f};
    float x[E];
    if (KEEP && counts) {
        const u32 room = (u32) __cvta_generic_to_shared(kept_row);
#pragma unroll
        for (int c = 0; c < MINE; c++) {
            const int k = c * ROW_THREADS + threadIdx.x;
            if (k < CHUNKS) {
                if (row.whole(k)) {
                    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(room + 16 * k), "l"(row.start + k * E) : "memory");
                } else {
                    kept_row[k] = row.load(k);
                }
            }
            asm volatile("cp.async.commit_group;" ::: "memory");
        }
        add_arriving<0, MINE>(m);
    } else if (counts) {
#pragma unroll 4
        for (int k = threadIdx.x; k < CHUNKS; k += ROW_THREADS) {
            spread(row.load(k), x);
            m.add(x);
        }
    }
    const Target t(p, index, true);                 // before the barrier, after which its logit is overwritten
    m.merge_lanes<32>();
    if (threadIdx.x % 32 == 0) {
        maxima[threadIdx.x / 32] = m.max;
        sums[threadIdx.x / 32] = m.sum;
    }
    __syncthreads();
    m.max = threadIdx.x % 32 < WARPS ? maxima[threadIdx.x % 32] : LOWEST;
    m.sum = threadIdx.x % 32 < WARPS ? sums[threadIdx.x % 32] : 0.f;
    m.merge_lanes<32>();
    if (threadIdx.x == 0) p.losses[index] = t.loss(m);
#if GRADIENT
    const float share = t.scale / m.sum;
#pragma unroll 2
    for (int k = threadIdx.x; k < CHUNKS; k += ROW_THREADS) {
        if (t.counts) {
            spread(KEEP ? kept_row[k] : row.load(k), x);
            differentiate(row, k, m, share, t, x);
        } else {
#pragma unroll
            for (int i = 0; i < E; i++) x[i] = 0.f;
        }
        row.store(k, x);
    }
#endif
}

// What the sum of the rows' cross entropies is divided by: the sum of all weights, or the number of targets that count.
extern "C" __global__ __launch_bounds__(1024) void cross_entropy_normaliser(const __grid_constant__ CrossEntropyParams p) {
    __shared__ double room[32];
    double sum = 0;
#pragma unroll 4
    for (i64 i = threadIdx.x; i < p.rows; i += 1024) sum += p.weights ? (double) p.weights[i] : p.targets[i] != IGNORED ? 1. : 0.;
    sum = block_sum<1024>(sum, room);
    if (threadIdx.x == 0) *p.normaliser = (float) sum;
}

// The mean over no positions is not a number, as in libtorch.
extern "C" __global__ __launch_bounds__(1024) void cross_entropy_sum(const __grid_constant__ CrossEntropyParams p) {
    __shared__ double room[32];
    double sum = 0;
#pragma unroll 4
    for (i64 i = threadIdx.x; i < p.rows; i += 1024) sum += p.losses[i];
    sum = block_sum<1024>(sum, room);
    if (threadIdx.x == 0) *p.loss = *p.normaliser == 0.f ? __uint_as_float(0x7fc00000u) : (float) sum;
}
