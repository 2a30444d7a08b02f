// Generation for a batch, from a layer's input to what it decides of its own processing: the convolution with silu, and
// select = u x_proj. bfloat16, float32 sums.
//
// Idea. With so few rows and columns the product is nothing but latency, so it is done where its input is made, and no block
// makes what another one has made: a cluster of CLUSTER blocks takes 16 sequences, each block a slice of the channels. It
// moves their convolutions on, multiplies by its slice of x_proj, which it has asked for before anything else, and the
// blocks add up through each other's shared memory. The order of addition is fixed.
//
// Rows in shared memory are an odd number of 16-byte pieces apart, so that the eight rows of an ldmatrix meet different banks;
// x_proj comes as rows of a channel each, and ldmatrix transposes them.
//
// Launch: grid (CLUSTER, ceil(B / 16)), block 512, shared: decode_select_shared.
#include "common.cuh"

// Sizes, by the caller: INNER (D), STATES (N), RANK (R), CONV_W (K, 4).
#ifndef CLUSTER
#define CLUSTER 8
#endif
#define SELECT_ROW (ceil_div(RANK + 2 * STATES, 8) * 8)
#define CONV_ROW (ceil_div(CONV_W + 3, 4) * 4)                  // of a channel's parameters: see decode_batch.cu
#define CHANNEL_ROW (CONV_ROW + ceil_div(STATES, 4) * 4)

#define ROWS 16
#define THREADS 512
#define SLICE (INNER / CLUSTER)                                 // channels of a block
#define TILES (SELECT_ROW / 8)                                  // of 8 columns
#define HALF ceil_div(TILES, 2)                                 // those of a warp
#define PARTS (THREADS / 64)                                    // of the slice, each for two warps
#define FOURS (SLICE / 4)                                       // of channels
#define EACH ceil_div(ROWS * FOURS, THREADS)                    // of a thread
#define AT_ONCE (EACH % 4 == 0 ? 4 : EACH % 3 == 0 ? 3 : EACH % 2 == 0 ? 2 : 1)

// Shared memory: u, x_proj, taps and biases; when the product is done, the block's sums and its warps' shares of them.
__host__ __device__ constexpr int most(int a, int b) { return a > b ? a : b; }
constexpr int U_ROW = SLICE * 2 + 16, W_ROW = (TILES | 1) * 16, W_AT = most(ROWS * U_ROW, ROWS * SELECT_ROW * 4);
constexpr int TAPS_AT = W_AT + most(SLICE * W_ROW, PARTS * ROWS * SELECT_ROW * 4);

struct SelectParams {
    const io_t *xz, *weight;                        // (B,2D), (D,SELECT_ROW)
    const float *channel;                           // (D,CHANNEL_ROW)
    float *conv;                                    // (B,D,K-1): read and written
    io_t *u, *select;                               // (B,D), (B,SELECT_ROW)
    int batch;
};

// For the host: dynamic shared memory of a block.
extern "C" __device__ int decode_select_shared[1] = {TAPS_AT + (CONV_W + 1) * SLICE * 4};

static_assert(CONV_W == 4, "three inputs of four channels are three times four floats");
static_assert(INNER % (16 * CLUSTER) == 0, "slices of whole steps");

__device__ __forceinline__ void copy16(u32 to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

__device__ __forceinline__ void cluster_sync() {
    asm volatile("barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// A float at the same place of another block's shared memory.
__device__ __forceinline__ float remote(u32 address, int block) {
    float v;
    asm volatile("{ .reg .u32 there; mapa.shared::cluster.u32 there, %1, %2; ld.shared::cluster.f32 %0, [there]; }"
                 : "=f"(v) : "r"(address), "r"(block) : "memory");
    return v;
}

// This block's channels: their convolutions by one step, u to shared and device memory.
__device__ __forceinline__ void convolve(const SelectParams &p, u8 *us, const float *taps, int firstRow, int firstChannel) {
    for (int i = 0; i < EACH; i += AT_ONCE) {
        float before[AT_ONCE][12];
        Packed<4> in[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const int at = (i + j) * THREADS + threadIdx.x, row = firstRow + at / FOURS, c = at % FOURS * 4;
            if (at >= ROWS * FOURS || row >= p.batch) continue;
            const float4 *state = (const float4 *) (p.conv + ((i64) row * INNER + firstChannel + c) * 3);
#pragma unroll
            for (int k = 0; k < 3; k++) *(float4 *) (before[j] + 4 * k) = state[k];
            *(uint2 *) in[j].w = *(const uint2 *) (p.xz + (i64) row * 2 * INNER + firstChannel + c);
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) {
            const int at = (i + j) * THREADS + threadIdx.x, row = at / FOURS, c = at % FOURS * 4;
            if (at >= ROWS * FOURS) continue;
            Packed<4> u = {{0, 0}};
            if (firstRow + row < p.batch) {
                const i64 place = (i64) (firstRow + row) * INNER + firstChannel + c;
                float now[4], w[4][4], v[4];
                unpack(in[j], now);
#pragma unroll
                for (int k = 0; k < 4; k++) *(float4 *) w[k] = *(const float4 *) (taps + k * SLICE + c);
                *(float4 *) v = *(const float4 *) (taps + 4 * SLICE + c);
                float *b = before[j];
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    v[k] += w[0][k] * b[3 * k] + w[1][k] * b[3 * k + 1] + w[2][k] * b[3 * k + 2] + w[3][k] * now[k];
                    b[3 * k] = b[3 * k + 1], b[3 * k + 1] = b[3 * k + 2], b[3 * k + 2] = now[k];
                    v[k] *= sigmoid(v[k]);
                }
                u = pack(v);
#pragma unroll
                for (int k = 0; k < 3; k++) ((float4 *) (p.conv + place * 3))[k] = *(const float4 *) (b + 4 * k);
                __stcg((uint2 *) (p.u + place), make_uint2(u.w[0], u.w[1]));
            }
            *(uint2 *) (us + row * U_ROW + c * 2) = make_uint2(u.w[0], u.w[1]);
        }
    }
}

extern "C" __global__ __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS) void decode_select(const __grid_constant__ SelectParams p) {
    extern __shared__ __align__(128) u8 memory[];
    const u32 us = (u32) __cvta_generic_to_shared(memory), ws = us + W_AT;
    const int t = threadIdx.x, lane = t % 32, part = t / 32 % PARTS, firstTile = t / 32 / PARTS * HALF;
    const int firstRow = blockIdx.y * ROWS, firstChannel = blockIdx.x * SLICE;
    float *taps = (float *) (memory + TAPS_AT);     // (K + 1,SLICE): the last row are biases
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    for (int i = t; i < SLICE * TILES; i += THREADS)
        copy16(ws + i / TILES * W_ROW + i % TILES * 16, p.weight + (i64) (firstChannel + i / TILES) * SELECT_ROW + i % TILES * 8);
    asm volatile("cp.async.commit_group;" ::: "memory");
    for (int c = t; c < SLICE; c += THREADS) {
        const float *own = p.channel + (i64) (firstChannel + c) * CHANNEL_ROW;
        const float4 w = __ldg((const float4 *) own);
        taps[c] = w.x, taps[SLICE + c] = w.y, taps[2 * SLICE + c] = w.z, taps[3 * SLICE + c] = w.w;
        taps[4 * SLICE + c] = __ldg(own + 4);
    }
    __syncthreads();
    asm volatile("griddepcontrol.wait;" ::: "memory");
    convolve(p, memory, taps, firstRow, firstChannel);
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();

    float sums[HALF][4];
#pragma unroll
    for (int i = 0; i < HALF; i++) sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = 0.f;
    const u32 left = us + lane % 16 * U_ROW + lane / 16 * 16, right = ws + lane % 16 * W_ROW + firstTile * 16;
    for (int k = part * 16; k < SLICE; k += PARTS * 16) {
        u32 a[4], b[2];
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"(left + k * 2) : "memory");
#pragma unroll
        for (int i = 0; i < HALF; i++) {
            if (TILES % 2 && firstTile + i >= TILES) break;
            asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                         : "=r"(b[0]), "=r"(b[1]) : "r"(right + k * W_ROW + i * 16) : "memory");
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                         : "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
        }
    }
    __syncthreads();                                // u and x_proj are no longer needed
    float *shares = (float *) (memory + W_AT), *own = (float *) memory;
#pragma unroll
    for (int i = 0; i < HALF; i++) {
        if (TILES % 2 && firstTile + i >= TILES) break;
        float *to = shares + (part * ROWS + lane / 4) * SELECT_ROW + (firstTile + i) * 8 + lane % 4 * 2;
        *(float2 *) to = make_float2(sums[i][0], sums[i][1]);
        *(float2 *) (to + 8 * SELECT_ROW) = make_float2(sums[i][2], sums[i][3]);
    }
    __syncthreads();
    for (int i = t; i < ROWS * SELECT_ROW; i += THREADS) {
        float sum = 0.f;
#pragma unroll
        for (int s = 0; s < PARTS; s++) sum += shares[s * ROWS * SELECT_ROW + i];
        own[i] = sum;
    }
    cluster_sync();
    constexpr int OWN = ROWS / CLUSTER * SELECT_ROW;
    for (int i = t; i < OWN; i += THREADS) {
        const int at = blockIdx.x * OWN + i;
        float sum = 0.f;
#pragma unroll
        for (int b = 0; b < CLUSTER; b++) sum += remote(us + at * 4, b);
        if (firstRow + at / SELECT_ROW < p.batch) p.select[(i64) firstRow * SELECT_ROW + at] = from_float(sum);
    }
    cluster_sync();                                 // nobody ends while others read from it
}
