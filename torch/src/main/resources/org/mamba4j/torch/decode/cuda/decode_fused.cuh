// What decode_enter.cu, decode_recur.cu and decode_leave.cu share: sizes, and the product of a few rows with a few columns.
#pragma once
#include "mma.cuh"

// Sizes, by the caller: MODEL (d), INNER (D), STATES (N), RANK (R), CONV_W (K, 4).
#define SELECT_ROW (ceil_div(RANK + 2 * STATES, 8) * 8)
#define RANK_ROW (ceil_div(RANK, 8) * 8)
#define CONV_ROW (ceil_div(CONV_W + 3, 4) * 4)                  // of a channel's parameters: see decode_batch.cu
#define CHANNEL_ROW (CONV_ROW + ceil_div(STATES, 4) * 4)

// Of in_proj's result and of out_proj's, what a block makes.
#ifndef IN_ROWS
#define IN_ROWS 64
#endif
#ifndef IN_COLUMNS
#define IN_COLUMNS (INNER % 48 == 0 ? 48 : 32)
#endif
#ifndef OUT_ROWS
#define OUT_ROWS 32
#endif
#ifndef OUT_COLUMNS
#define OUT_COLUMNS (MODEL % 24 == 0 ? 24 : 16)
#endif
constexpr int X_TILES = INNER / (IN_COLUMNS), NORM_TILES = MODEL / (OUT_COLUMNS);

__host__ __device__ constexpr int most(int a, int b) { return a > b ? a : b; }

__device__ __forceinline__ void copy16(void *to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32) __cvta_generic_to_shared(to)), "l"(from) : "memory");
}

// What follows needs the kernel before; weights and states do not. The kernel behind may start as far as it can.
__device__ __forceinline__ void let_start() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
__device__ __forceinline__ void await_kernel() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// ROWS x COLUMNS sums over DEPTH by a block of eight warps. Each takes 32 rows, all columns and a part of the depth: so rows
// are read once, from device memory to registers, 16 bytes a lane, and weights lie in shared memory since before the rows
// were there. Lane q of four reads elements 8q to 8q + 7 of 32: which of them a matrix instruction calls which is free, if it
// is the same for rows and weights.
//
// BY_DEPTH: a row of the weights in device memory is a number of the depth, and WIDTH columns long; else it is a column.
template <int ROWS, int COLUMNS, int DEPTH, bool BY_DEPTH, int WIDTH>
struct Product {
    static constexpr int GROUPS = ROWS / 32, PARTS = 8 / GROUPS, SPAN = DEPTH / PARTS, CHUNKS = SPAN / 32, TILES = COLUMNS / 8;
    static constexpr int AHEAD = min_of(CHUNKS, 6);             // chunks asked for before they are needed
    static constexpr int ABREAST = TILES % 3 == 0 ? 3 : TILES % 2 == 0 ? 2 : 1;
    static constexpr int PITCH = BY_DEPTH ? (TILES | 1) * 16 : DEPTH * 2 + (DEPTH % 64 ? 0 : 64);  // no two of a read meet in a bank
    static constexpr int BYTES = BY_DEPTH ? DEPTH * PITCH + DEPTH / 8 * 32 : COLUMNS * PITCH;
    static constexpr int SUM_PITCH = COLUMNS % 16 ? COLUMNS : COLUMNS + 8;
    static constexpr int SUM_BYTES = PARTS * ROWS * SUM_PITCH * 4;
    static_assert(ROWS % 32 == 0 && 8 % GROUPS == 0 && SPAN % 32 == 0 && DEPTH % PARTS == 0 && COLUMNS % 8 == 0, "whole warps and chunks");

    typedef float Sums[2][TILES][4];

    static __device__ __forceinline__ int place(int k) { return k * PITCH + k / 8 * 32; }

    // Asks for the weights of the columns that begin at `from`.
    static __device__ __forceinline__ void fetch(u8 *to, const io_t *from) {
        constexpr int PIECES = BY_DEPTH ? TILES : DEPTH / 8, LINES = BY_DEPTH ? DEPTH : COLUMNS;
        for (int i = threadIdx.x; i < PIECES * LINES; i += 256) {
            const int line = i / PIECES, piece = i % PIECES;
            copy16(to + (BY_DEPTH ? place(line) : line * PITCH) + piece * 16, from + (i64) line * (BY_DEPTH ? WIDTH : DEPTH) + piece * 8);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    }

    // rows: of `a`, from the first one, `pitch` elements apart, that are there; those beyond are made of the last one.
    static __device__ __forceinline__ void make(Sums &sums, const u8 *weights, const io_t *a, int pitch, int rows) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4, k0 = warp / GROUPS * SPAN;
        const io_t *from[4];
        uint4 next[AHEAD][4];
#pragma unroll
        for (int i = 0; i < 4; i++) from[i] = a + (i64) min(warp % GROUPS * 32 + i * 8 + g, rows - 1) * pitch + k0 + q * 8;
#pragma unroll
        for (int c = 0; c < AHEAD; c++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                next[c][i] = __ldcg((const uint4 *) (from[i] + c * 32));
        asm volatile("cp.async.wait_group 0;" ::: "memory");
        __syncthreads();
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int n = 0; n < TILES; n++) sums[i][n][0] = sums[i][n][1] = sums[i][n][2] = sums[i][n][3] = 0.f;
        // A lane's row of the four matrices of a chunk, where weights lie by depth.
        const u8 *mine = BY_DEPTH ? weights + place(k0 + lane % 8 / 2 * 8 + lane / 8 * 2 + lane % 2) : weights + g * PITCH + (k0 + q * 8) * 2;
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
            uint4 now[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                now[i] = next[c % AHEAD][i];
                if (c + AHEAD < CHUNKS) next[c % AHEAD][i] = __ldcg((const uint4 *) (from[i] + (c + AHEAD) * 32));
            }
            // A product takes eight times as long as until the next can begin: those of one sum are kept apart.
#pragma unroll
            for (int first = 0; first < TILES; first += ABREAST) {
                u32 w[ABREAST][4];
#pragma unroll
                for (int n = 0; n < ABREAST; n++) {
                    if (BY_DEPTH) {
                        load_matrices_transposed(w[n], mine + place(c * 32) + (first + n) * 16);
                    } else {
                        *(uint4 *) w[n] = *(const uint4 *) (mine + (first + n) * 8 * PITCH + c * 64);
                    }
                }
#pragma unroll
                for (int half = 0; half < 2; half++)
#pragma unroll
                    for (int n = 0; n < ABREAST; n++)
#pragma unroll
                        for (int i = 0; i < 2; i++) {
                            const uint4 &one = now[2 * i], &other = now[2 * i + 1];
                            const u32 part[4] = {half ? one.z : one.x, half ? other.z : other.x, half ? one.w : one.y, half ? other.w : other.y};
                            multiply(sums[i][first + n], part, w[n][2 * half], w[n][2 * half + 1]);
                        }
            }
        }
    }

    // To shared memory, each part of the depth for itself.
    static __device__ __forceinline__ void share(const Sums &sums, float *room) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        float *to = room + (warp / GROUPS * ROWS + warp % GROUPS * 32 + lane / 4) * SUM_PITCH + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int n = 0; n < TILES; n++) {
                *(float2 *) (to + i * 16 * SUM_PITCH + n * 8) = make_float2(sums[i][n][0], sums[i][n][1]);
                *(float2 *) (to + (i * 16 + 8) * SUM_PITCH + n * 8) = make_float2(sums[i][n][2], sums[i][n][3]);
            }
    }

    // Four neighbours of the result.
    static __device__ __forceinline__ float4 total(const float *room, int row, int column) {
        float4 sum = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            const float4 v = *(const float4 *) (room + (part * ROWS + row) * SUM_PITCH + column);
            sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
        }
        return sum;
    }
};

// How a block's threads share out rows of QUADS fours each: a thread keeps to its columns.
template <int ROWS, int QUADS>
struct Shares {
    static constexpr int LIMIT = 256 / QUADS;
    static constexpr int AT_ONCE = LIMIT >= 64 && ROWS >= 64 ? 64 : LIMIT >= 32 && ROWS >= 32 ? 32 : LIMIT >= 16 ? 16 : 8;
    static constexpr int THREADS = QUADS * AT_ONCE, TURNS = ROWS / AT_ONCE;
};
