// Embedding: rows of a table gathered by token id, and the table's gradient.
//
//   forward:  out[m] = table[ids[m]];      backward:  dTable[v] += sum over the m with ids[m] = v of dX[m].
//
// Idea. The gradient adds rows of unknown number to the same row of the table; adding them with atomics would give other
// bits in every run. So positions are first sorted by id, stably, by a radix sort of eight bits a pass, whose
// counters are whole numbers. A warp then adds up a run of neighbours of the sorted order (in order), for 128 columns. Ids that
// begin and end in the run go straight to the table; what continues from the run before, or into the run after, is left
// as a partial sum (`edges`), and embedding_join adds up the partial sums of an id that spreads over several warps. The
// order of all sums follows from the ids alone, and no launch depends on them.
//
// Ids outside of the table: forward gives a row that is not a number; backward adds them to the last row, which does no
// harm where steps without a finite loss are left out.
//
// Macros: IO_BF16: type of the table (forward) or of dX (backward), the other is float32; WIDE: rows begin at multiples
// of four elements' size.
// Launch: embedding_forward: grid ceil(M ceil(d/4) / 256), block 256. Backward, with `per` keys a block, a multiple of
// KEYS: for each eight bits of the ids: embedding_count and embedding_scatter, grid blocks = ceil(M / per), block 256;
// then embedding_sum: grid ceil(ceil(M/RUN) ceil(d/128) / 8), block 256; embedding_join: grid (ceil(M/RUN), ceil(d/128)), 256.
#include "vectors.cuh"

#ifndef WIDE
#define WIDE 1
#endif
#define DIGITS 256
#define WARPS 8
#ifndef ITEMS
#define ITEMS 2                                     // keys of a lane
#endif
#define KEYS (32 * WARPS * ITEMS)                   // keys that a block ranks at once
#ifndef RUN
#define RUN 32                                      // sorted positions that a warp adds up, 32 or fewer
#endif
#ifndef AHEAD
#define AHEAD 8                                     // rows that it reads at once
#endif
#define NONE 0xffffffffu

struct EmbeddingParams {
    const io_t *in;                                 // the table (V,d) or dX (M,d)
    const i64 *ids;                                 // (M)
    float *out;                                     // (M,d) or the table's gradient (V,d)
    const u32 *keys, *places;                       // (M) sorted so far: ids and positions; null before the first pass
    u32 *sortedKeys, *sortedPlaces;                 // (M)
    int *counts;                                    // (blocks,DIGITS)
    float *edges;                                   // (ceil(M/RUN),2,d): sums that began before, and that go on after
    i64 M, vocabulary;
    int d, per, blocks, shift;
};

extern "C" __device__ int embedding_geometry[2] = {KEYS, RUN};

extern "C" __global__ __launch_bounds__(256) void embedding_forward(const __grid_constant__ EmbeddingParams p) {
    const int fours = (p.d + 3) / 4;
    const i64 index = (i64) blockIdx.x * 256 + threadIdx.x, m = index / fours;
    if (m >= p.M) return;
    const int column = (int) (index - m * fours) * 4;
    const i64 id = p.ids[m];
    Four x = {__uint_as_float(0x7fc00000u), __uint_as_float(0x7fc00000u), __uint_as_float(0x7fc00000u), __uint_as_float(0x7fc00000u)};
    if (id >= 0 && id < p.vocabulary) x = load4<WIDE>(p.in + id * p.d + column, p.d - column);
    store4<WIDE>(p.out + m * p.d + column, x, p.d - column);
}

__device__ __forceinline__ u32 key(const EmbeddingParams &p, i64 i) {
    if (p.keys) return p.keys[i];
    const i64 id = p.ids[i];
    return (u32) (id >= 0 && id < p.vocabulary ? id : p.vocabulary - 1);
}

// How many of a block's keys have each digit.
extern "C" __global__ __launch_bounds__(256) void embedding_count(const __grid_constant__ EmbeddingParams p) {
    __shared__ int counts[DIGITS];
    counts[threadIdx.x] = 0;
    __syncthreads();
    const i64 from = (i64) blockIdx.x * p.per, to = min(from + p.per, p.M);
#pragma unroll 4
    for (i64 i = from + threadIdx.x; i < to; i += 256) atomicAdd(counts + (key(p, i) >> p.shift) % DIGITS, 1);
    __syncthreads();
    p.counts[blockIdx.x * DIGITS + threadIdx.x] = counts[threadIdx.x];
}

// Puts a block's keys behind all keys of smaller digits and behind those of the same digit that come before.
extern "C" __global__ __launch_bounds__(256) void embedding_scatter(const __grid_constant__ EmbeddingParams p) {
    __shared__ int next[DIGITS];                    // where the next key of each digit goes
    __shared__ int seen[WARPS][DIGITS + 1];         // of a warp's keys; the last for lanes without a key
    __shared__ int room[WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

    int total = 0, before = 0;                      // keys of digit threadIdx.x: of all blocks, and of those before
#pragma unroll 8
    for (int b = 0; b < p.blocks; b++) {
        const int count = p.counts[b * DIGITS + threadIdx.x];
        total += count;
        before += b < (int) blockIdx.x ? count : 0;
    }
    int scan = total;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(0xffffffffu, scan, step);
        if (lane >= step) scan += other;
    }
    if (lane == 31) room[warp] = scan;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < WARPS; w++) scan += w < warp ? room[w] : 0;
    next[threadIdx.x] = scan - total + before;

    const i64 to = min((i64) (blockIdx.x + 1) * p.per, p.M);
    for (i64 from = (i64) blockIdx.x * p.per; from < to; from += KEYS) {
        for (int i = threadIdx.x; i < WARPS * (DIGITS + 1); i += 256) (&seen[0][0])[i] = 0;
        __syncthreads();
        u32 keys[ITEMS];
        int ranks[ITEMS];
#pragma unroll
        for (int j = 0; j < ITEMS; j++) {
            const i64 i = from + (warp * ITEMS + j) * 32 + lane;
            keys[j] = i < to ? key(p, i) : NONE;
        }
#pragma unroll
        for (int j = 0; j < ITEMS; j++) {
            const i64 i = from + (warp * ITEMS + j) * 32 + lane;
            const int digit = i < to ? (int) (keys[j] >> p.shift) % DIGITS : DIGITS;
            const u32 peers = __match_any_sync(0xffffffffu, digit);
            const int earlier = __popc(peers & ((1u << lane) - 1));
            ranks[j] = seen[warp][digit] + earlier;
            __syncwarp();
            if (earlier == 0) seen[warp][digit] += __popc(peers);
            __syncwarp();
        }
        __syncthreads();
        int at = next[threadIdx.x];                 // the thread's digit: counts of warps become places
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            const int count = seen[w][threadIdx.x];
            seen[w][threadIdx.x] = at;
            at += count;
        }
        next[threadIdx.x] = at;
        __syncthreads();
#pragma unroll
        for (int j = 0; j < ITEMS; j++) {
            const i64 i = from + (warp * ITEMS + j) * 32 + lane;
            if (i < to) {
                const int place = seen[warp][(keys[j] >> p.shift) % DIGITS] + ranks[j];
                p.sortedKeys[place] = keys[j];
                p.sortedPlaces[place] = p.places ? p.places[i] : (u32) i;
            }
        }
        __syncthreads();
    }
}

__device__ __forceinline__ void add_to(const EmbeddingParams &p, i64 id, int column, Four sum) {
    float *to = p.out + id * p.d + column;
    const Four old = load4<WIDE>(to, p.d - column);
#pragma unroll
    for (int i = 0; i < 4; i++) sum.v[i] += old.v[i];
    store4<WIDE>(to, sum, p.d - column);
}

// A warp adds up RUN neighbours of the sorted order, 128 columns.
extern "C" __global__ __launch_bounds__(256) void embedding_sum(const __grid_constant__ EmbeddingParams p) {
    const int lane = threadIdx.x % 32, tiles = (p.d + 127) / 128;
    const i64 index = (i64) blockIdx.x * WARPS + threadIdx.x / 32, run = index / tiles, from = run * RUN;
    const int column = (int) (index % tiles) * 128 + 4 * lane;
    if (from >= p.M) return;
    const int count = (int) min((i64) RUN, p.M - from);
    const u32 myKey = lane < count ? p.keys[from + lane] : NONE, myPlace = lane < count ? p.places[from + lane] : 0;
    const u32 before = from > 0 ? p.keys[from - 1] : NONE, after = from + count < p.M ? p.keys[from + count] : NONE;
    u32 current = __shfl_sync(0xffffffffu, myKey, 0);
    bool head = current == before;                  // the sum began in an earlier run
    float *edges = p.edges + run * 2 * p.d + column;
    Four sum = {0.f, 0.f, 0.f, 0.f};
#pragma unroll 1
    for (int i0 = 0; i0 < count; i0 += AHEAD) {
        Four rows[AHEAD];
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            const u32 place = __shfl_sync(0xffffffffu, myPlace, i0 + j);
            rows[j] = load4<WIDE>(p.in + (i64) place * p.d + column, i0 + j < count ? p.d - column : 0);
        }
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            const u32 id = __shfl_sync(0xffffffffu, myKey, i0 + j);
            if (i0 + j < count && id != current) {
                if (head) {
                    store4<WIDE>(edges, sum, p.d - column);
                } else {
                    add_to(p, current, column, sum);
                }
                current = id;
                head = false;
                sum = {0.f, 0.f, 0.f, 0.f};
            }
#pragma unroll
            for (int i = 0; i < 4; i++) sum.v[i] += rows[j].v[i];
        }
    }
    if (head) {
        store4<WIDE>(edges, sum, p.d - column);
    } else if (current == after) {
        store4<WIDE>(edges + p.d, sum, p.d - column);
    } else {
        add_to(p, current, column, sum);
    }
}

// The block of the run in which an id that spreads over several runs begins adds up all its partial sums.
extern "C" __global__ __launch_bounds__(256) void embedding_join(const __grid_constant__ EmbeddingParams p) {
    __shared__ Four shares[WARPS][32];
    const i64 run = blockIdx.x, from = run * RUN, end = from + RUN;
    if (end >= p.M) return;
    const u32 id = p.keys[end];
    if (p.keys[end - 1] != id || (from > 0 && p.keys[from - 1] == id)) return;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = blockIdx.y * 128 + 4 * lane;
    i64 low = end;                                  // a position of the id; its last one is found 32 probes at a time
    for (i64 high = p.M, step; high - low > 1; high = min(high, low + step)) {
        step = (high - low + 31) / 32;
        const i64 probe = low + lane * step;
        low += (__popc(__ballot_sync(0xffffffffu, probe < high && p.keys[probe] == id)) - 1) * step;
    }
    const i64 last = low / RUN;
    Four sum = {0.f, 0.f, 0.f, 0.f};
#pragma unroll 4
    for (i64 r = run + warp; r <= last; r += WARPS) {
        const Four part = load4<WIDE>(p.edges + (2 * r + (r == run)) * p.d + column, p.d - column);
#pragma unroll
        for (int i = 0; i < 4; i++) sum.v[i] += part.v[i];
    }
    shares[warp][lane] = sum;
    __syncthreads();
    if (warp != 0) return;
#pragma unroll
    for (int w = 1; w < WARPS; w++)
#pragma unroll
        for (int i = 0; i < 4; i++) sum.v[i] += shares[w][lane].v[i];
    add_to(p, id, column, sum);
}
