// What the input decides of its own processing, select = u x_proj, for up to a few hundred sequences: bfloat16, float32 sums.
//
// Idea. With so few rows and columns a product is nothing but latency: the library's kernel takes 4.5 us for what is a
// tenth of that in memory traffic and arithmetic. So a block takes a tile so small that the whole depth D of both its operands
// fits into shared memory, asks for all of it at once, and computes as it arrives. The weights do not depend on the kernel
// before, so they are asked for before waiting for it (programmatic dependent launch). A warp has a slice of D; the slices
// are added up through shared memory.
//
// Rows of u lie 16 bytes further apart than they are long, so that the eight rows of an ldmatrix meet different banks; x_proj
// comes as D rows of the tile's eight columns, and ldmatrix transposes them.
//
// The same form for in_proj (with the convolution behind it) and out_proj took 19 and 10 us where the library takes 5: with
// more columns, many small tiles read the same operands again and again.
//
// Launch: grid (SELECT_ROW / 8, ceil(B / 16)), block 256, shared: decode_select_shared.
#include "common.cuh"

// Sizes, by the caller: INNER (D), STATES (N), RANK (R).
#define SELECT_ROW (ceil_div(RANK + 2 * STATES, 8) * 8)

#define ROWS 16
#define TILE 8
#define THREADS 256
#define SLICES (THREADS / 32)
#define SLICE (INNER / SLICES)
#define PARTS (SLICE % 48 == 0 ? 3 : SLICE % 32 == 0 ? 2 : 1)   // of a slice, that arrive one after another
#define PART (SLICE / PARTS)
#define ROW_BYTES (INNER * 2 + 16)
#define WEIGHT_BYTES (TILE * 2)

struct SelectParams {
    const io_t *u, *weight;                         // (B,D), (D,SELECT_ROW)
    io_t *select;                                   // (B,SELECT_ROW)
    int batch;
};

// For the host: dynamic shared memory of a block.
extern "C" __device__ int decode_select_shared[1] = {ROWS * ROW_BYTES + INNER * WEIGHT_BYTES};

static_assert(INNER % (16 * SLICES) == 0, "slices of whole steps");

__device__ __forceinline__ void copy16(u32 to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int LEFT>
__device__ __forceinline__ void arrived() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

extern "C" __global__ __launch_bounds__(THREADS) void decode_select(const __grid_constant__ SelectParams p) {
    extern __shared__ __align__(128) u8 memory[];
    const u32 us = (u32) __cvta_generic_to_shared(memory), ws = us + ROWS * ROW_BYTES;
    const int t = threadIdx.x, lane = t % 32, slice = t / 32;
    const int firstRow = blockIdx.y * ROWS, column = blockIdx.x * TILE, rows = min(ROWS, p.batch - firstRow);
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    for (int k = t; k < INNER; k += THREADS) copy16(ws + k * WEIGHT_BYTES, p.weight + (i64) k * SELECT_ROW + column);
    commit();
    asm volatile("griddepcontrol.wait;" ::: "memory");
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
        constexpr int PIECES = PART / 8;
        for (int i = t; i < ROWS * SLICES * PIECES; i += THREADS) {
            const int row = i / (SLICES * PIECES), k = i / PIECES % SLICES * SLICE + part * PART + i % PIECES * 8;
            if (row < rows) copy16(us + row * ROW_BYTES + k * 2, p.u + (i64) (firstRow + row) * INNER + k);
        }
        commit();
    }
    const u32 left = us + lane % 16 * ROW_BYTES + lane / 16 * 16 + slice * SLICE * 2;
    const u32 right = ws + (slice * SLICE + lane % 16) * WEIGHT_BYTES;
    float sums[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
        if (part == PARTS - 1) arrived<0>();
        else if (part == PARTS - 2) arrived<1>();
        else arrived<2>();
        __syncthreads();
#pragma unroll 4
        for (int k = part * PART; k < (part + 1) * PART; k += 16) {
            u32 a[4], b[2];
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                         : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"(left + k * 2));
            asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                         : "=r"(b[0]), "=r"(b[1]) : "r"(right + k * WEIGHT_BYTES));
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                         : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
        }
    }
    __shared__ float shares[SLICES][ROWS][TILE];
    shares[slice][lane / 4][lane % 4 * 2] = sums[0], shares[slice][lane / 4][lane % 4 * 2 + 1] = sums[1];
    shares[slice][lane / 4 + 8][lane % 4 * 2] = sums[2], shares[slice][lane / 4 + 8][lane % 4 * 2 + 1] = sums[3];
    __syncthreads();
    if (t < rows * TILE) {
        float sum = 0.f;
#pragma unroll
        for (int s = 0; s < SLICES; s++) sum += shares[s][t / TILE][t % TILE];
        p.select[(i64) (firstRow + t / TILE) * SELECT_ROW + column + t % TILE] = from_float(sum);
    }
}
