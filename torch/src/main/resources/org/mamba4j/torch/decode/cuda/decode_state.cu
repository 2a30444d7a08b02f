// Generation for a batch: dt_proj and the recurrence's step, with skip and gate. bfloat16, states float32.
//
// Idea. Reading and writing the states is the work: 128 bytes for each channel of a sequence, against 6 of everything else.
// So a block asks for all states of its 64 channels and 8 sequences, 32 KB for 16 states, in eight bulk copies, before it waits
// for the kernel that says what to do with them: while decode_select runs, the states of the whole batch arrive, and each
// sequence is worked on as soon as its own are there. The time steps, 64 channels x 8 sequences, are a product on the tensor
// cores, and everything that a channel's lanes share (softplus, gate) is computed once.
//
// Launch: grid (D / 64, ceil(B / 8)), block 256, shared: decode_state_shared.
#include "decode_ahead.cuh"
#include "mma.cuh"

// Sizes, by the caller: INNER (D), STATES (N), RANK (R), CONV_W (K).
#define SELECT_ROW (ceil_div(RANK + 2 * STATES, 8) * 8)
#define RANK_ROW (ceil_div(RANK, 8) * 8)
#define CONV_ROW (ceil_div(CONV_W + 3, 4) * 4)                  // of a channel's parameters: see decode_batch.cu
#define CHANNEL_ROW (CONV_ROW + ceil_div(STATES, 4) * 4)

#define CHANNELS 64
#define SEQUENCES 8
#define LANES 4                                     // per channel
#define OWN (STATES / LANES)                        // states of a lane
#define STEPS ceil_div(RANK, 16)

struct StateParams {
    const io_t *u, *xz, *select, *dtProj;           // (B,D), (B,2D), (B,SELECT_ROW), (D,RANK_ROW)
    const float *channel;                           // (D,CHANNEL_ROW)
    float *h;                                       // (B,D,N): read and written
    io_t *y;                                        // (B,D)
    const void *ahead;                              // what a later kernel reads, may be null
    i64 aheadBytes;
    int batch;
};

// For the host: dynamic shared memory of a block.
extern "C" __device__ int decode_state_shared[1] = {SEQUENCES * CHANNELS * STATES * 4};

static_assert(INNER % CHANNELS == 0 && STATES % (4 * LANES) == 0 && RANK % 8 == 0, "whole blocks, lanes and pieces of 16 bytes");

__device__ __forceinline__ u32 shared_address(const void *p) { return (u32) __cvta_generic_to_shared(p); }

__device__ __forceinline__ float quad_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

extern "C" __global__ __launch_bounds__(256, RANK <= 64 ? 5 : 4) void decode_state(const __grid_constant__ StateParams p) {
    extern __shared__ __align__(128) float states[];                        // (SEQUENCES,CHANNELS,N)
    __shared__ __align__(16) float selected[SEQUENCES][2 * STATES];         // B, C
    __shared__ __align__(16) float deltas[SEQUENCES][CHANNELS], us[SEQUENCES][CHANNELS], gates[SEQUENCES][CHANNELS];
    __shared__ unsigned long long arrived[SEQUENCES];
    const int t = threadIdx.x, lane = t % 32, warp = t / 32, q = t % LANES, c = blockIdx.x * CHANNELS + t / LANES;
    const int first = blockIdx.y * SEQUENCES, count = min(SEQUENCES, p.batch - first);
    float *place = p.h + ((i64) first * INNER + blockIdx.x * CHANNELS) * STATES;
    constexpr u32 BYTES = CHANNELS * STATES * 4;
    const u32 barrier = shared_address(arrived);
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
    // Four warps multiply: rows are 16 channels each, columns the sequences. A lane's numbers are neighbours, 16 bytes of a row
    // where RANK allows: which element a matrix instruction calls which is free, if it is the same for both sides.
    u32 weights[STEPS][4];
    float bias[2] = {0.f, 0.f}, a[OWN];
    const int row = blockIdx.x * CHANNELS + warp % 4 * 16 + lane / 4;
    if (warp < 4) {
        const io_t *from = p.dtProj + (i64) row * RANK_ROW;
        if constexpr (RANK % 32 == 0) {
#pragma unroll
            for (int k = 0; k < STEPS; k += 2)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const uint4 v = __ldg((const uint4 *) (from + i * 8 * RANK_ROW + k * 16 + lane % 4 * 8));
                    weights[k][i] = v.x, weights[k][i + 2] = v.y, weights[k + 1][i] = v.z, weights[k + 1][i + 2] = v.w;
                }
        } else {
#pragma unroll
            for (int k = 0; k < STEPS; k++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    weights[k][i] = k * 16 + i / 2 * 8 < RANK ? __ldg((const u32 *) (from + i % 2 * 8 * RANK_ROW + k * 16 + i / 2 * 8 + lane % 4 * 2)) : 0u;
        }
#pragma unroll
        for (int i = 0; i < 2; i++) bias[i] = __ldg(p.channel + (i64) (row + i * 8) * CHANNEL_ROW + CONV_W + 1);
    }
    const float *own = p.channel + (i64) c * CHANNEL_ROW;
#pragma unroll
    for (int n = 0; n < OWN; n += 4) *(float4 *) (a + n) = __ldg((const float4 *) (own + CONV_ROW + q * OWN + n));
    const float skip = __ldg(own + CONV_W + 2);
    asm volatile("griddepcontrol.launch_dependents; griddepcontrol.wait;" ::: "memory");

    if (warp < 4) {
        const io_t *from = p.select + (i64) (first + min(lane / 4, count - 1)) * SELECT_ROW;
        u32 b[STEPS][2];
        if constexpr (RANK % 32 == 0) {
#pragma unroll
            for (int k = 0; k < STEPS; k += 2) {
                const uint4 v = *(const uint4 *) (from + k * 16 + lane % 4 * 8);
                b[k][0] = v.x, b[k][1] = v.y, b[k + 1][0] = v.z, b[k + 1][1] = v.w;
            }
        } else {
#pragma unroll
            for (int k = 0; k < STEPS; k++)
#pragma unroll
                for (int i = 0; i < 2; i++) b[k][i] = k * 16 + i * 8 < RANK ? *(const u32 *) (from + k * 16 + i * 8 + lane % 4 * 2) : 0u;
        }
        float dt[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
        for (int k = 0; k < STEPS; k++) multiply(dt, weights[k], b[k][0], b[k][1]);
#pragma unroll
        for (int i = 0; i < 4; i++) deltas[lane % 4 * 2 + i % 2][warp * 16 + lane / 4 + i / 2 * 8] = softplus(dt[i] + bias[i / 2]);
    } else {
        const int i = t % 64, s = i / 8, at = i % 8 * 8;
        const bool gate = warp >= 6;
        if (s < count) {
            const i64 line = first + s;
            const io_t *from = gate ? p.xz + line * 2 * INNER + INNER : p.u + line * INNER;
            Packed8 packed;
            *(uint4 *) packed.w = *(const uint4 *) (from + blockIdx.x * CHANNELS + at);
            float v[8];
            unpack(packed, v);
#pragma unroll
            for (int j = 0; j < 8; j++) v[j] = gate ? v[j] * sigmoid(v[j]) : v[j];
            float *to = (gate ? gates[s] : us[s]) + at;
            *(float4 *) to = *(const float4 *) v;
            *(float4 *) (to + 4) = *(const float4 *) (v + 4);
        }
        for (int j = t - 128; j < count * (2 * STATES / 8); j += 128) {
            const int sequence = j / (2 * STATES / 8), n = j % (2 * STATES / 8) * 8;
            Packed8 packed;
            *(uint4 *) packed.w = *(const uint4 *) (p.select + (i64) (first + sequence) * SELECT_ROW + RANK + n);
            float v[8];
            unpack(packed, v);
            *(float4 *) (selected[sequence] + n) = *(const float4 *) v;
            *(float4 *) (selected[sequence] + n + 4) = *(const float4 *) (v + 4);
        }
    }
    __syncthreads();
#pragma unroll
    for (int s = 0; s < SEQUENCES; s++) {
        if (s >= count) break;
        for (u32 there = 0; !there;)
            asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                         : "=r"(there) : "r"(barrier + s * 8) : "memory");
        const float delta = deltas[s][t / LANES], u = us[s][t / LANES], in = delta * u;
        float y = 0.f;
#pragma unroll
        for (int n = 0; n < OWN; n += 4) {
            float h[4], b[4], read[4];
            *(float4 *) h = *(const float4 *) (states + s * CHANNELS * STATES + t * OWN + n);
            *(float4 *) b = *(const float4 *) (selected[s] + q * OWN + n);
            *(float4 *) read = *(const float4 *) (selected[s] + STATES + q * OWN + n);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                h[i] = h[i] * fast_exp2(delta * a[n + i]) + in * b[i];
                y += h[i] * read[i];
            }
            // Not needed again before the next token: the cache has better to keep.
            __stcs((float4 *) (place + (i64) s * INNER * STATES + t * OWN + n), *(const float4 *) h);
        }
        y = quad_sum(y);
        if (q == 0) gates[s][t / LANES] *= y + skip * u;
    }
    fetch_ahead(p.ahead, p.aheadBytes, blockIdx.y * gridDim.x + blockIdx.x, gridDim.y * gridDim.x);
    __syncthreads();
    if (t < SEQUENCES * CHANNELS / 8 && t / 8 < count) {
        float v[8];
        *(float4 *) v = *(const float4 *) (gates[t / 8] + t % 8 * 8);
        *(float4 *) (v + 4) = *(const float4 *) (gates[t / 8] + t % 8 * 8 + 4);
        const Packed8 packed = pack(v);
        __stcg((uint4 *) (p.y + (i64) (first + t / 8) * INNER + blockIdx.x * CHANNELS + t % 8 * 8),
               make_uint4(packed.w[0], packed.w[1], packed.w[2], packed.w[3]));
    }
}
