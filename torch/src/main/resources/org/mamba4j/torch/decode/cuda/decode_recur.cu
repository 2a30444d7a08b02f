// Generation for a batch, the middle of a layer's three kernels (see decode_enter.cu): the sums of x_proj, dt_proj and the
// recurrence's step, with skip and gate. bfloat16, states float32.
//
// Idea. Reading and writing the states is the work: so a block asks for all states of its channels and sequences, 96 KB, in
// bulk copies before it waits for decode_enter, and works on each sequence as soon as its own are there. Four sequences and
// many channels make a block: what decode_enter left of x_proj is then read a few times only. The time steps are a product on
// the tensor cores, and what a channel's lanes share (softplus, gate) is computed once.
//
// Launch: grid (D / RECUR_CHANNELS, ceil(B / 4)), block 512, shared: decode_recur_geometry[1].
#include "decode_fused.cuh"

#ifndef RECUR_CHANNELS
#define RECUR_CHANNELS ((INNER * STATES % 6144 ? 4096 : 6144) / STATES)
#endif
#define CHANNELS (RECUR_CHANNELS)
#define SEQUENCES 4
#define THREADS 512
#define LANES 4                                     // per channel
#define OWN (STATES / LANES)                        // states of a lane
#define STEPS ceil_div(RANK, 16)
#define TURNS (CHANNELS / (THREADS / LANES))        // channels of a thread
#define SLABS ceil_div(CHANNELS / 16, THREADS / 32) // of 16 channels, of a warp in the product
#define ITEMS (SEQUENCES * SELECT_ROW / 4)          // fours of sums
#define TEAMS (THREADS / ITEMS)                     // that share out the tiles of a sum
#define SUM_EACH ceil_div(X_TILES, TEAMS)

struct RecurParams {
    const float *shares;                            // (B,X_TILES,SELECT_ROW)
    const io_t *u, *z, *dtProj;                     // (B,D), (B,D), (D,RANK_ROW)
    const float *channel;                           // (D,CHANNEL_ROW)
    float *h;                                       // (B,D,N): read and written
    io_t *y;                                        // (B,D)
    int batch;
};

constexpr int STATE_BYTES = SEQUENCES * CHANNELS * STATES * 4, EACH_BYTES = SEQUENCES * CHANNELS * 4;
constexpr int SUMS_AT = STATE_BYTES + 3 * EACH_BYTES;

// For the host: channels of a block, its dynamic shared memory.
extern "C" __device__ int decode_recur_geometry[2] = {CHANNELS, SUMS_AT + TEAMS * ITEMS * 16};

static_assert(INNER % CHANNELS == 0 && CHANNELS % (THREADS / LANES) == 0 && STATES % (4 * LANES) == 0 && RANK % 8 == 0 && TEAMS >= 1 && SEQUENCES * CHANNELS / 4 <= THREADS,
              "whole blocks, lanes and pieces of 16 bytes");

__device__ __forceinline__ u32 shared_address(const void *p) { return (u32) __cvta_generic_to_shared(p); }

__device__ __forceinline__ float quad_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

extern "C" __global__ __launch_bounds__(THREADS, 2) void decode_recur(const __grid_constant__ RecurParams p) {
    extern __shared__ __align__(128) u8 memory[];
    __shared__ __align__(16) float selected[SEQUENCES][SELECT_ROW];
    __shared__ unsigned long long arrived[SEQUENCES];
    float *states = (float *) memory;                                       // (SEQUENCES,CHANNELS,N)
    float *deltas = (float *) (memory + STATE_BYTES), *us = deltas + SEQUENCES * CHANNELS, *gates = us + SEQUENCES * CHANNELS;
    float4 *sums = (float4 *) (memory + SUMS_AT);                           // (TEAMS,ITEMS)
    const int t = threadIdx.x, lane = t % 32, warp = t / 32, q = t % LANES, g = lane / 4, firstChannel = blockIdx.x * CHANNELS;
    const int first = blockIdx.y * SEQUENCES, count = min(SEQUENCES, p.batch - first);
    float *place = p.h + ((i64) first * INNER + firstChannel) * STATES;
    constexpr u32 BYTES = CHANNELS * STATES * 4;
    const u32 barrier = shared_address(arrived);
    let_start();
    if (t == 0) {
        for (int i = 0; i < SEQUENCES; i++) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier + i * 8) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        for (int i = 0; i < count; i++) {
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier + i * 8), "r"(BYTES) : "memory");
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                             shared_address(states) + i * BYTES),
                         "l"(place + (i64) i * INNER * STATES), "r"(BYTES), "r"(barrier + i * 8)
                         : "memory");
        }
    }
    // A warp multiplies slabs of 16 channels, its rows; columns are the sequences.
    u32 weights[SLABS][STEPS][4];
#pragma unroll
    for (int j = 0; j < SLABS; j++) {
        const int slab = warp + j * (THREADS / 32);
        const io_t *from = p.dtProj + (i64) (firstChannel + min(slab, CHANNELS / 16 - 1) * 16 + g) * RANK_ROW + q * 2;
#pragma unroll
        for (int k = 0; k < STEPS; k++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                weights[j][k][i] = k * 16 + i / 2 * 8 < RANK ? __ldg((const u32 *) (from + i % 2 * 8 * RANK_ROW + k * 16 + i / 2 * 8)) : 0u;
    }
    for (int i = t; i < CHANNELS; i += THREADS)                             // the rest of a channel's parameters to the cache
        asm volatile("prefetch.global.L2 [%0];" ::"l"(p.channel + (i64) (firstChannel + i) * CHANNEL_ROW + CONV_ROW));
    await_kernel();

    // u, or what the gate is made of: eight numbers of a thread. Meanwhile the shares of the sums.
    constexpr int EIGHTS = SEQUENCES * CHANNELS / 8;
    const bool gate = t >= EIGHTS;
    const int at8 = t % EIGHTS * 8, of = at8 / CHANNELS;
    Packed8 packed;
    if (t < 2 * EIGHTS)
        *(uint4 *) packed.w = __ldcg((const uint4 *) ((gate ? p.z : p.u) + (i64) (first + min(of, count - 1)) * INNER + firstChannel + at8 % CHANNELS));
    if (t < TEAMS * ITEMS) {
        const int item = t % ITEMS, team = t / ITEMS, sequence = min(item / (SELECT_ROW / 4), count - 1);
        const float4 *from = (const float4 *) (p.shares + (i64) (first + sequence) * X_TILES * SELECT_ROW) + item % (SELECT_ROW / 4);
        float4 share[SUM_EACH], sum = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
        for (int i = 0; i < SUM_EACH; i++) share[i] = __ldcg(from + min(i * TEAMS + team, X_TILES - 1) * (SELECT_ROW / 4));
#pragma unroll
        for (int i = 0; i < SUM_EACH; i++)
            if (i * TEAMS + team < X_TILES) sum.x += share[i].x, sum.y += share[i].y, sum.z += share[i].z, sum.w += share[i].w;
        sums[t] = sum;
    }
    if (t < 2 * EIGHTS) {
        float v[8];
        unpack(packed, v);
        float *to = (gate ? gates : us) + at8;
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] = gate ? v[k] * sigmoid(v[k]) : v[k];
        *(float4 *) to = *(const float4 *) v;
        *(float4 *) (to + 4) = *(const float4 *) (v + 4);
    }
    __syncthreads();
    for (int i = t; i < ITEMS; i += THREADS) {
        float4 sum = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
        for (int k = 0; k < TEAMS; k++) {
            const float4 v = sums[k * ITEMS + i];
            sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
        }
        ((float4 *) selected[0])[i] = sum;
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < SLABS; j++) {
        const int slab = warp + j * (THREADS / 32);
        if (slab >= CHANNELS / 16) break;
        float dt[4] = {0.f, 0.f, 0.f, 0.f};
        const float *from = selected[g % SEQUENCES] + q * 2;
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
            u32 b[2];
#pragma unroll
            for (int i = 0; i < 2; i++) b[i] = k * 16 + i * 8 < RANK ? pack_bf16(from[k * 16 + i * 8], from[k * 16 + i * 8 + 1]) : 0u;
            multiply(dt, weights[j][k], b[0], b[1]);
        }
        if (q < SEQUENCES / 2) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int c = slab * 16 + g + i / 2 * 8;
                deltas[(q * 2 + i % 2) * CHANNELS + c] = softplus(dt[i] + __ldg(p.channel + (i64) (firstChannel + c) * CHANNEL_ROW + CONV_W + 1));
            }
        }
    }
    float a[TURNS][OWN], skip[TURNS];
#pragma unroll
    for (int j = 0; j < TURNS; j++) {
        const float *own = p.channel + (i64) (firstChannel + j * (THREADS / LANES) + t / LANES) * CHANNEL_ROW;
#pragma unroll
        for (int n = 0; n < OWN; n += 4) *(float4 *) (a[j] + n) = __ldg((const float4 *) (own + CONV_ROW + q * OWN + n));
        skip[j] = __ldg(own + CONV_W + 2);
    }
    __syncthreads();
#pragma unroll
    for (int s = 0; s < SEQUENCES; s++) {
        if (s >= count) break;
        for (u32 there = 0; !there;)
            asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                         : "=r"(there) : "r"(barrier + s * 8) : "memory");
#pragma unroll
        for (int j = 0; j < TURNS; j++) {
            const int c = j * (THREADS / LANES) + t / LANES, at = s * CHANNELS + c;
            const float delta = deltas[at], u = us[at], in = delta * u;
            float y = 0.f;
#pragma unroll
            for (int n = 0; n < OWN; n += 4) {
                float h[4], b[4], read[4];
                *(float4 *) h = *(const float4 *) (states + at * STATES + q * OWN + n);
                *(float4 *) b = *(const float4 *) (selected[s] + RANK + q * OWN + n);
                *(float4 *) read = *(const float4 *) (selected[s] + RANK + STATES + q * OWN + n);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    h[i] = h[i] * fast_exp2(delta * a[j][n + i]) + in * b[i];
                    y += h[i] * read[i];
                }
                // Not needed again before the next token: the cache has better to keep.
                __stcs((float4 *) (place + ((i64) s * INNER + c) * STATES + q * OWN + n), *(const float4 *) h);
            }
            y = quad_sum(y);
            if (q == 0) gates[at] *= y + skip[j] * u;
        }
    }
    __syncthreads();
    for (int i = t; i < count * CHANNELS / 8; i += THREADS) {
        float v[8];
        *(float4 *) v = *(const float4 *) (gates + i * 8);
        *(float4 *) (v + 4) = *(const float4 *) (gates + i * 8 + 4);
        const Packed8 packed = pack(v);
        __stcg((uint4 *) (p.y + (i64) (first + i * 8 / CHANNELS) * INNER + firstChannel + i * 8 % CHANNELS),
               make_uint4(packed.w[0], packed.w[1], packed.w[2], packed.w[3]));
    }
}
