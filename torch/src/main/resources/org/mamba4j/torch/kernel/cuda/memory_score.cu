// What a layer's memory computes of each token, and the way back: importance and summary from one product of the normed
// stream with all weights side by side, and the bookkeeping of weights and gradients around that product.
//
//   p = u Wᵀ, the columns of p:   hidden of the scorer (H) | summary (S) | a query for each way of reading (S each) |
//                                 a read gate for each | zeros up to a multiple of 8
//   a = w2 . silu(p_hidden + b1) + b2;   s = tanh(p_summary + bn);   queries hold Wkᵀ Wq u / sqrt(S).
//
// Macros: WIDTH: d; HIDDEN: H; SUMMARY: S; READS: ways of reading, 0 to 2.
// Launch: memory_pack, memory_unpack: any grid, block 256; memory_front, memory_back: any grid, block 256, parts = grid;
// memory_sums: grid ceil(SUMS / 32), block 512; memory_stats: grid layers, block 256; memory_threshold: grid layers,
// block 1,024; memory_loss: grid 1, block 32.
#include "vectors.cuh"

#ifndef WIDTH
#define WIDTH 256
#endif
#ifndef HIDDEN
#define HIDDEN 64
#endif
#ifndef SUMMARY
#define SUMMARY 64
#endif
#ifndef READS
#define READS 1
#endif
#define ROOM (READS > 0 ? READS : 1)

constexpr int QUERIES = HIDDEN + SUMMARY;
constexpr int GATES = QUERIES + READS * SUMMARY;
constexpr int COLUMNS = (GATES + READS + 7) / 8 * 8;
constexpr int SUMS = 2 * HIDDEN + SUMMARY + 1;      // of b1, w2, bn, b2
constexpr int STATS = 5;
constexpr int HIDDENS = ceil_div(HIDDEN, 32), SUMMARIES = ceil_div(SUMMARY, 32);

struct NoteControls {                               // as in note_select.cu
    i64 capacity, dense, explore, seed, quantile;
    double free_share, price, move;
};

struct ScoreParams {
    const NoteControls *controls;
    const float *score_in, *score_in_bias, *score_out, *score_out_bias, *summary, *summary_bias;
    const float *query[2], *key[2], *gate[2], *value[2];
    io_t *weights;                                  // (COLUMNS,d): all of them side by side
    io_t *values;                                   // (d,READS*S)
    const float *p;                                 // (M,COLUMNS)
    float *score;                                   // (M)
    io_t *notes;                                    // (M,S)
    float *gate_parts;                              // (parts,2): sums of gates and scores
    const int *candidate;                           // (M), backward only from here
    const i64 *gradient;                            // (M,S+1): of candidates, see pool_read.cu
    const int *poison;                              // (1): not 0 where a gradient was no number
    const float *stats;                             // (STATS)
    io_t *dp;                                       // (M,COLUMNS): its first H + S columns and the last ones are written
    float *parts_of_sums;                           // (parts,SUMS)
    float *sums;                                    // (SUMS)
    const float *dweights;                          // (COLUMNS,d)
    const float *dvalues;                           // (d,READS*S)
    const float *read_parts[2];                     // (read_parts_count,2): of the gate's bias and of nothing
    float *dscore_in, *dscore_in_bias, *dscore_out, *dscore_out_bias, *dsummary, *dsummary_bias;
    float *dquery[2], *dkey[2], *dgate[2], *dvalue[2], *dgate_bias[2], *dnothing[2];
    i64 M;
    int length;
    int parts;
    int read_parts_count;
    int add;                                        // whether to add to the parameters' gradients
};

// Notes' gradients are summed as integers, so that the order of additions does not matter; see pool_read.cu.
#define FIXED_POINT 281474976710656.f               // 2^48

__device__ __forceinline__ float exact_sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

extern "C" __global__ void memory_pack(const __grid_constant__ ScoreParams p) {
    constexpr int COUNT = COLUMNS * WIDTH;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < COUNT + WIDTH * READS * SUMMARY; i += gridDim.x * 256) {
        if (i >= COUNT) {
            const int row = (i - COUNT) / (ROOM * SUMMARY), column = (i - COUNT) % (ROOM * SUMMARY);
            p.values[i - COUNT] = from_float(p.value[column / SUMMARY][row * SUMMARY + column % SUMMARY]);
            continue;
        }
        const int row = i / WIDTH, column = i % WIDTH;
        float x = 0.f;
        if (row < HIDDEN) {
            x = p.score_in[i];
        } else if (row < QUERIES) {
            x = p.summary[i - HIDDEN * WIDTH];
        } else if (row < GATES) {
            const int read = (row - QUERIES) / SUMMARY, r = (row - QUERIES) % SUMMARY;
            const float *key = p.key[read], *query = p.query[read];
            for (int k = 0; k < SUMMARY; k++) x += key[k * SUMMARY + r] * query[k * WIDTH + column];
            x *= rsqrtf((float) SUMMARY);
        } else if (row < GATES + READS) {
            x = p.gate[row - GATES][column];
        }
        p.weights[i] = from_float(x);
    }
}

// A warp per row.
extern "C" __global__ __launch_bounds__(256) void memory_front(const __grid_constant__ ScoreParams p) {
    __shared__ float room[8];
    const int lane = threadIdx.x % 32;
    float gates = 0.f, scores = 0.f;
    for (i64 row = (i64) blockIdx.x * 8 + threadIdx.x / 32; row < p.M; row += (i64) gridDim.x * 8) {
        const float *x = p.p + row * COLUMNS;
        float a = 0.f;
#pragma unroll
        for (int i = 0; i < HIDDENS; i++) {
            const int j = 32 * i + lane;
            if (j < HIDDEN) {
                const float h = x[j] + p.score_in_bias[j];
                a += p.score_out[j] * h * exact_sigmoid(h);
            }
        }
        a = warp_sum<32>(a) + *p.score_out_bias;
#pragma unroll
        for (int i = 0; i < SUMMARIES; i++) {
            const int j = 32 * i + lane;
            if (j < SUMMARY) p.notes[row * SUMMARY + j] = from_float(tanhf(x[HIDDEN + j] + p.summary_bias[j]));
        }
        if (lane == 0) {
            p.score[row] = a;
            gates += exact_sigmoid(a);
            scores += a;
        }
    }
    gates = block_sum<256>(gates, room);
    scores = block_sum<256>(scores, room);
    if (threadIdx.x == 0) {
        p.gate_parts[2 * blockIdx.x] = gates;
        p.gate_parts[2 * blockIdx.x + 1] = scores;
    }
}

extern "C" __global__ __launch_bounds__(256) void memory_back(const __grid_constant__ ScoreParams p) {
    __shared__ float room[8][SUMS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float d_b1[HIDDENS] = {}, d_w2[HIDDENS] = {}, d_bn[SUMMARIES] = {}, d_b2 = 0.f;
    const float mean = p.stats[0], share = (float) p.controls->free_share;
    // d price / d gate of a token.
    const float cost = mean >= share ? (float) p.controls->price / (mean * (float) p.M) : 0.f;
    const float broken = *p.poison ? __uint_as_float(0x7fc00000u) : 0.f;
    for (i64 row = (i64) blockIdx.x * 8 + warp; row < p.M; row += (i64) gridDim.x * 8) {
        const float *x = p.p + row * COLUMNS;
        io_t *dx = p.dp + row * COLUMNS;
        const int candidate = p.candidate[row];
        const i64 *note = p.gradient + (row / p.length * p.length + max(candidate, 0)) * (SUMMARY + 1);
        const float g = exact_sigmoid(p.score[row]);
        float da = cost * g * (1.f - g) + broken;
        if (candidate >= 0) da += __ll2float_rn(note[SUMMARY]) * (1.f / FIXED_POINT) * (1.f - g);
        d_b2 += da;
#pragma unroll
        for (int i = 0; i < HIDDENS; i++) {
            const int j = 32 * i + lane;
            if (j < HIDDEN) {
                const float h = x[j] + p.score_in_bias[j];
                const float s = exact_sigmoid(h);
                const float d = da * p.score_out[j] * s * (1.f + h * (1.f - s));
                d_w2[i] += da * h * s;
                d_b1[i] += d;
                dx[j] = from_float(d);
            }
        }
#pragma unroll
        for (int i = 0; i < SUMMARIES; i++) {
            const int j = 32 * i + lane;
            if (j < SUMMARY) {
                float d = 0.f;
                if (candidate >= 0) {
                    const float s = tanhf(x[HIDDEN + j] + p.summary_bias[j]);
                    d = __ll2float_rn(note[j]) * (1.f / FIXED_POINT) * (1.f - s * s);
                }
                d_bn[i] += d;
                dx[HIDDEN + j] = from_float(d);
            }
        }
        if (GATES + READS + lane < COLUMNS) dx[GATES + READS + lane] = from_float(0.f);
    }
#pragma unroll
    for (int i = 0; i < HIDDENS; i++) {
        if (32 * i + lane < HIDDEN) {
            room[warp][32 * i + lane] = d_b1[i];
            room[warp][HIDDEN + 32 * i + lane] = d_w2[i];
        }
    }
#pragma unroll
    for (int i = 0; i < SUMMARIES; i++)
        if (32 * i + lane < SUMMARY) room[warp][2 * HIDDEN + 32 * i + lane] = d_bn[i];
    if (lane == 0) room[warp][SUMS - 1] = d_b2;
    __syncthreads();
    for (int i = threadIdx.x; i < SUMS; i += 256) {
        float sum = 0.f;
#pragma unroll
        for (int w = 0; w < 8; w++) sum += room[w][i];
        p.parts_of_sums[(i64) blockIdx.x * SUMS + i] = sum;
    }
}

// A block adds up 32 columns, each by 16 threads; in a fixed order.
extern "C" __global__ __launch_bounds__(512) void memory_sums(const __grid_constant__ ScoreParams p) {
    __shared__ float shares[16][32];
    const int column = blockIdx.x * 32 + threadIdx.x % 32;
    float sum = 0.f;
    if (column < SUMS) {
#pragma unroll 4
        for (int part = threadIdx.x / 32; part < p.parts; part += 16) sum += p.parts_of_sums[(i64) part * SUMS + column];
    }
    shares[threadIdx.x / 32][threadIdx.x % 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32 || column >= SUMS) return;
#pragma unroll
    for (int i = 1; i < 16; i++) sum += shares[i][threadIdx.x];
    p.sums[column] = sum;
}

__device__ __forceinline__ void put_gradient(const ScoreParams &p, float *to, float x) { *to = p.add ? *to + x : x; }

// From the gradients of the weights side by side to those of the parameters.
extern "C" __global__ __launch_bounds__(256) void memory_unpack(const __grid_constant__ ScoreParams p) {
    __shared__ float room[8];
    constexpr int SCORER = HIDDEN * WIDTH, NOTER = SUMMARY * WIDTH;
    constexpr int COPIED = SCORER + NOTER + READS * (WIDTH + NOTER + NOTER) + SUMS;   // NOTER: value, and query
    const float scale = rsqrtf((float) SUMMARY);
    for (int i = blockIdx.x * 256 + threadIdx.x; i < COPIED; i += gridDim.x * 256) {
        int at = i;
        if (at < SCORER) {
            put_gradient(p, p.dscore_in + at, p.dweights[at]);
            continue;
        }
        at -= SCORER;
        if (at < NOTER) {
            put_gradient(p, p.dsummary + at, p.dweights[SCORER + at]);
            continue;
        }
        at -= NOTER;
        if (at < SUMS) {
            const float x = p.sums[at];
            if (at < HIDDEN) put_gradient(p, p.dscore_in_bias + at, x);
            else if (at < 2 * HIDDEN) put_gradient(p, p.dscore_out + at - HIDDEN, x);
            else if (at < 2 * HIDDEN + SUMMARY) put_gradient(p, p.dsummary_bias + at - 2 * HIDDEN, x);
            else put_gradient(p, p.dscore_out_bias, x);
            continue;
        }
        at -= SUMS;
        const int read = at / (WIDTH + 2 * NOTER);
        at %= WIDTH + 2 * NOTER;
        if (at < WIDTH) {
            put_gradient(p, p.dgate[read] + at, p.dweights[(GATES + read) * WIDTH + at]);
        } else if (at < WIDTH + NOTER) {
            at -= WIDTH;
            const int row = at / SUMMARY, column = at % SUMMARY;
            put_gradient(p, p.dvalue[read] + at, p.dvalues[row * (ROOM * SUMMARY) + read * SUMMARY + column]);
        } else {
            at -= WIDTH + NOTER;
            const int row = at / WIDTH, column = at % WIDTH;
            const float *d = p.dweights + (QUERIES + read * SUMMARY) * WIDTH;
            float x = 0.f;
            for (int r = 0; r < SUMMARY; r++) x += p.key[read][row * SUMMARY + r] * d[r * WIDTH + column];
            put_gradient(p, p.dquery[read] + at, x * scale);
        }
    }
    // Keys: a warp for each element.
    for (int i = blockIdx.x * 8 + threadIdx.x / 32; i < READS * SUMMARY * SUMMARY; i += gridDim.x * 8) {
        const int read = i / (SUMMARY * SUMMARY), k = i / SUMMARY % SUMMARY, r = i % SUMMARY;
        const float *d = p.dweights + (QUERIES + read * SUMMARY + r) * WIDTH;
        float x = 0.f;
        for (int c = threadIdx.x % 32; c < WIDTH; c += 32) x += d[c] * p.query[read][k * WIDTH + c];
        x = warp_sum<32>(x);
        if (threadIdx.x % 32 == 0) put_gradient(p, p.dkey[read] + k * SUMMARY + r, x * scale);
    }
    if ((int) blockIdx.x < 2 * READS) {
        const int read = blockIdx.x / 2, which = blockIdx.x % 2;
        float x = 0.f;
        for (int i = threadIdx.x; i < p.read_parts_count; i += 256) x += p.read_parts[read][2 * i + which];
        x = block_sum<256>(x, room);
        if (threadIdx.x == 0) put_gradient(p, which ? p.dnothing[read] : p.dgate_bias[read], x);
    }
}

struct StatsParams {
    const NoteControls *controls;
    const float *gate_parts;                        // (layers,parts,2)
    const int *counts;                              // (layers,B)
    const float *missed_parts;                      // (layers,2,missed)
    float *stats;                                   // (layers,STATS): mean gate, note rate, mean score, attention on own notes, below
    float *loss;                                    // (1): the price of notes is added
    const float *scores;                            // (layers,M)
    float *const *thresholds;                       // (layers)
    i64 M;
    int layers;
    int batch;
    int parts;
    int missed;
};

extern "C" __global__ __launch_bounds__(256) void memory_stats(const __grid_constant__ StatsParams p) {
    __shared__ float room[8];
    const int layer = blockIdx.x;
    float sums[STATS] = {};
    for (int i = threadIdx.x; i < p.parts; i += 256) {
        sums[0] += p.gate_parts[2 * (layer * p.parts + i)];
        sums[2] += p.gate_parts[2 * (layer * p.parts + i) + 1];
    }
    for (int i = threadIdx.x; i < p.batch; i += 256) sums[1] += (float) p.counts[layer * p.batch + i];
    for (int i = threadIdx.x; i < p.missed; i += 256) {
        sums[3] += p.missed_parts[(i64) (2 * layer) * p.missed + i];
        sums[4] += p.missed_parts[(i64) (2 * layer + 1) * p.missed + i];
    }
#pragma unroll
    for (int i = 0; i < STATS; i++) {
        const float mean = block_sum<256>(sums[i], room) / (float) p.M;
        if (threadIdx.x == 0) p.stats[layer * STATS + i] = i < 3 ? mean : 1.f - mean;
    }
}

extern "C" __global__ void memory_loss(const __grid_constant__ StatsParams p) {
    if (threadIdx.x) return;
    float price = 0.f;
    for (int i = 0; i < p.layers; i++) {
        const float over = logf(p.stats[i * STATS]) - (float) log(p.controls->free_share);
        price += over < 0.f ? 0.f : over;           // so that NaN stays
    }
    if (p.controls->price != 0.0) *p.loss += (float) p.controls->price * price;
}

// The scores' quantile by three rounds of counting 11, 11 and 10 bits of their ordered integers.
extern "C" __global__ __launch_bounds__(1024) void memory_threshold(const __grid_constant__ StatsParams p) {
    __shared__ u32 counts[2048];
    __shared__ u32 warp_sums[32];
    __shared__ u32 found, left;
    if (p.controls->move == 0.0) return;
    const float *scores = p.scores + (i64) blockIdx.x * p.M;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    u32 prefix = 0, mask = 0;
    u32 wanted = (u32) p.controls->quantile;        // from 1
    for (int round = 0; round < 3; round++) {
        const int shift = round == 0 ? 21 : round == 1 ? 10 : 0;
        const u32 digits = round == 2 ? 1023 : 2047;
        counts[2 * threadIdx.x] = 0;
        counts[2 * threadIdx.x + 1] = 0;
        __syncthreads();
        for (i64 i = threadIdx.x; i < p.M; i += 1024) {
            const float x = scores[i];
            const u32 bits = __float_as_uint(x);
            const u32 order = x != x ? 0xffffffffu : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
            if ((order & mask) == prefix) atomicAdd(&counts[order >> shift & digits], 1u);
        }
        __syncthreads();
        const u32 low = counts[2 * threadIdx.x], both = low + counts[2 * threadIdx.x + 1];
        u32 sum = both;                             // inclusive over the lanes
#pragma unroll
        for (int bit = 1; bit < 32; bit *= 2) {
            const u32 other = __shfl_up_sync(0xffffffffu, sum, bit);
            if (lane >= bit) sum += other;
        }
        if (lane == 31) warp_sums[warp] = sum;
        __syncthreads();
        for (int i = 0; i < warp; i++) sum += warp_sums[i];
        const u32 before = sum - both;
        if (wanted > before && wanted <= sum) {
            const bool upper = wanted > before + low;
            found = 2 * threadIdx.x + upper;
            left = wanted - before - (upper ? low : 0);
        }
        __syncthreads();
        prefix |= found << shift;
        mask |= digits << shift;
        wanted = left;
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        const float quantile = __uint_as_float(prefix & 0x80000000u ? prefix & 0x7fffffffu : ~prefix);
        float *threshold = p.thresholds[blockIdx.x];
        const float move = (float) p.controls->move;
        *threshold = *threshold * (float) (1.0 - p.controls->move) + move * quantile;
    }
}

extern "C" __device__ int memory_geometry[3] = {COLUMNS, SUMS, STATS};
