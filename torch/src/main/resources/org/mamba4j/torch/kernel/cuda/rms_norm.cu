// RMSNorm of the rows of the residual stream, forward and backward, with the residual's additions.
//
//   forward:   x' = x + addend,  s = 1 / sqrt(mean(x'^2) + eps),  normed = x' s weight;
//   backward:  n = x s,  h = dNormed weight,  dx = dResidual + s (h - n mean(h n)),  dWeight = sum over rows of dNormed n.
//
// Idea. Rows of up to 1,024 elements belong to a warp, longer ones to up to eight: the row stays in registers, so every
// tensor is read and written once. Backward, each group of lanes walks over many rows and keeps its share of dWeight in
// registers; the shares are added up in a block through shared memory and over the blocks by a second kernel, in a
// fixed order: the same call gives the same bits.
//
// The residual stream and its gradient are float32, normed and dNormed of the activations' type (IO_BF16).
//
// Macros: WIDTH: d; WIDE: rows of all tensors begin at multiples of four elements' size; ADDEND: 0 none, 1 float32,
// 2 bfloat16; COPY: dx is written a second time: 0 no, 1 float32, 2 bfloat16.
// Launch: forward: grid ceil(M / rows), block 256; backward: any grid, block 256, parts = grid;
// rms_norm_sum_weight: grid ceil(d / 32), block 512. rms_norm_geometry has `rows` of a block.
#include "vectors.cuh"

#ifndef WIDTH
#define WIDTH 768
#endif
#ifndef WIDE
#define WIDE 1
#endif
#ifndef ADDEND
#define ADDEND 0
#endif
#ifndef COPY
#define COPY 0
#endif
#define THREADS 256

#if ADDEND == 2
typedef bf16_t addend_t;
#else
typedef float addend_t;
#endif
#if COPY == 2
typedef bf16_t copy_t;
#else
typedef float copy_t;
#endif

constexpr int GROUP = WIDTH <= 1024 ? 32 : WIDTH <= 2048 ? 64 : WIDTH <= 4096 ? 128 : 256;   // threads of a row
constexpr int ROWS = THREADS / GROUP;
constexpr int CHUNKS = ceil_div(WIDTH, 4 * GROUP);
constexpr bool EVEN = WIDTH % (4 * GROUP) == 0;
static_assert(CHUNKS <= 8, "RMSNorm takes rows of up to 8,192 elements");

struct NormParams {
    const float *x;                                 // (M,d)
    const addend_t *addend;                         // (M,d)
    const float *weight;                            // (d)
    float *sum;                                     // (M,d): x + addend; may be x
    io_t *normed;                                   // (M,d)
    float *scale;                                   // (M): s; read by backward
    const io_t *dnormed;                            // (M,d), backward only from here
    const float *dresidual;                         // (M,d), may be null
    float *dx;                                      // (M,d), may be dresidual
    copy_t *copy;                                   // (M,d): dx again
    float *partial;                                 // (parts,d) workspace
    float *dweight;                                 // (d)
    i64 M;
    float eps;
    int parts;
    int add;                                        // dweight is added to
    int unused;
};

extern "C" __device__ int rms_norm_geometry[1] = {ROWS};

// How many of the row's elements there are from this thread's chunk on; 0 or less: none.
__device__ __forceinline__ int left(int chunk, int lane, bool there) {
    return EVEN ? (there ? 4 : 0) : (there ? WIDTH - 4 * (chunk * GROUP + lane) : 0);
}

// Sum over the threads of a row. All threads of the block call it alike.
__device__ __forceinline__ float row_sum(float x, float *room) {
    x = warp_sum<32>(x);
    if constexpr (GROUP > 32) {
        constexpr int WARPS = GROUP / 32;
        const int warp = threadIdx.x / 32;
        room[warp] = x;
        __syncthreads();
        x = 0.f;
#pragma unroll
        for (int i = 0; i < WARPS; i++) x += room[warp / WARPS * WARPS + i];
        __syncthreads();
    }
    return x;
}

extern "C" __global__ __launch_bounds__(THREADS) void rms_norm_forward(const __grid_constant__ NormParams p) {
    __shared__ float room[THREADS / 32];
    const int lane = threadIdx.x % GROUP;
    const i64 row = (i64) blockIdx.x * ROWS + threadIdx.x / GROUP;
    const bool there = row < p.M;
    Four x[CHUNKS];
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) x[c] = load4<WIDE>(p.x + row * WIDTH + 4 * (c * GROUP + lane), left(c, lane, there));
#if ADDEND
    Four more[CHUNKS];
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) more[c] = load4<WIDE>(p.addend + row * WIDTH + 4 * (c * GROUP + lane), left(c, lane, there));
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) x[c].v[i] += more[c].v[i];
        store4<WIDE>(p.sum + row * WIDTH + 4 * (c * GROUP + lane), x[c], left(c, lane, there));
    }
#endif
    float squares = 0.f;
#pragma unroll
    for (int c = 0; c < CHUNKS; c++)
#pragma unroll
        for (int i = 0; i < 4; i++) squares += x[c].v[i] * x[c].v[i];
    const float s = 1.f / sqrtf(row_sum(squares, room) * (1.f / WIDTH) + p.eps);
    if (!there) return;
    if (lane == 0) p.scale[row] = s;
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
        const int column = 4 * (c * GROUP + lane);
        const Four w = load4<WIDE>(p.weight + column, left(c, lane, true));
#pragma unroll
        for (int i = 0; i < 4; i++) x[c].v[i] = x[c].v[i] * s * w.v[i];
        store4<WIDE>(p.normed + row * WIDTH + column, x[c], left(c, lane, true));
    }
}

extern "C" __global__ __launch_bounds__(THREADS) void rms_norm_backward(const __grid_constant__ NormParams p) {
    __shared__ float room[THREADS / 32];
    __shared__ alignas(16) float shares[ROWS][4 * GROUP * CHUNKS];
    const int lane = threadIdx.x % GROUP, group = threadIdx.x / GROUP;
    Four share[CHUNKS];
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) share[c] = {0.f, 0.f, 0.f, 0.f};

    for (i64 first = (i64) blockIdx.x * ROWS; first < p.M; first += (i64) gridDim.x * ROWS) {
        const i64 row = first + group;
        const bool there = row < p.M;
        const i64 at = row * WIDTH + 4 * lane;
        Four x[CHUNKS], g[CHUNKS], r[CHUNKS];
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
            x[c] = load4<WIDE>(p.x + at + 4 * GROUP * c, left(c, lane, there));
            g[c] = load4<WIDE>(p.dnormed + at + 4 * GROUP * c, left(c, lane, there));
        }
        if (p.dresidual) {
#pragma unroll
            for (int c = 0; c < CHUNKS; c++) r[c] = load4<WIDE>(p.dresidual + at + 4 * GROUP * c, left(c, lane, there));
        } else {
#pragma unroll
            for (int c = 0; c < CHUNKS; c++) r[c] = {0.f, 0.f, 0.f, 0.f};
        }
        const float s = there ? p.scale[row] : 0.f;
        float dot = 0.f;
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
            const Four w = load4<WIDE>(p.weight + 4 * (c * GROUP + lane), left(c, lane, true));
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x[c].v[i] *= s;
                share[c].v[i] += g[c].v[i] * x[c].v[i];
                g[c].v[i] *= w.v[i];
                dot += g[c].v[i] * x[c].v[i];
            }
        }
        const float mean = row_sum(dot, room) * (1.f / WIDTH);
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
#pragma unroll
            for (int i = 0; i < 4; i++) r[c].v[i] += s * (g[c].v[i] - x[c].v[i] * mean);
            store4<WIDE>(p.dx + at + 4 * GROUP * c, r[c], left(c, lane, there));
#if COPY
            store4<WIDE>(p.copy + at + 4 * GROUP * c, r[c], left(c, lane, there));
#endif
        }
    }

#pragma unroll
    for (int c = 0; c < CHUNKS; c++) put_four(&shares[group][4 * (c * GROUP + lane)], share[c]);
    __syncthreads();
    for (int column = threadIdx.x; column < WIDTH; column += THREADS) {
        float sum = 0.f;
#pragma unroll
        for (int i = 0; i < ROWS; i++) sum += shares[i][column];
        p.partial[(i64) blockIdx.x * WIDTH + column] = sum;
    }
}

// A block adds up 32 columns, each by 16 threads, so that few loads wait for one another.
extern "C" __global__ __launch_bounds__(512) void rms_norm_sum_weight(const __grid_constant__ NormParams p) {
    __shared__ float shares[16][32];
    const int column = blockIdx.x * 32 + threadIdx.x % 32;
    float sum = 0.f;
    if (column < WIDTH) {
#pragma unroll 4
        for (int part = threadIdx.x / 32; part < p.parts; part += 16) sum += p.partial[(i64) part * WIDTH + column];
    }
    shares[threadIdx.x / 32][threadIdx.x % 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32 || column >= WIDTH) return;
#pragma unroll
    for (int i = 1; i < 16; i++) sum += shares[i][threadIdx.x];
    p.dweight[column] = p.add ? p.dweight[column] + sum : sum;
}
