// What both versions of reading notes share: pool_read.cu, with a thread per query, and pool_read_mma.cu, on the tensor
// cores. See pool_read.cu.
//
// Macros: SUMMARY: S; CHUNK: W; POOLS: pools that are read, 1 to 8.
#pragma once
#include "vectors.cuh"

#ifndef SUMMARY
#define SUMMARY 64
#endif
#ifndef CHUNK
#define CHUNK 64
#endif
#ifndef POOLS
#define POOLS 1
#endif
constexpr int PARTS = ceil_div(CHUNK, 64);          // blocks of a chunk
#define FIXED_POINT 281474976710656.f               // 2^48
#define LARGEST_SHARE 1024.f
#define MINUS_INFINITE __uint_as_float(0xff800000u)

struct Pool {
    const io_t *notes;                              // (B,L,S)
    const int *position;                            // (B,L) and so on: see SelectParams
    const float *log_gate;
    const int *count;
    const int *starts;
    const int *exit;
    const int *last_exit;
    i64 *gradient;                                  // (B,L,S+1): by candidate; last of a row: of log g
};

struct ReadParams {
    Pool pools[POOLS];
    const float *query;                             // (M) rows of `stride`, queries already divided by the root of S
    const float *gate;                              // (M) rows of `stride`
    const float *gate_bias;                         // (1)
    const float *nothing;                           // (1)
    io_t *out;                                      // (M) rows of out_stride
    float *lse;                                     // (M): log of the sum of exponentials
    float *missed_parts;                            // (blocks): sums of what `nothing` got
    const io_t *dout;                               // (M) rows of out_stride, backward only from here
    float *dot;                                     // (M): out . dout
    io_t *dquery;                                   // (M) rows of `stride`
    io_t *dgate;                                    // (M) rows of `stride`
    float *parts;                                   // (blocks,2): sums of the gradients of the gate's bias and of nothing
    int *poison;                                    // (1)
    int length;                                     // L
    int chunks;                                     // C
    int stride;
    int out_stride;
    float tau;
    int chunks_per_range;
};

__device__ __forceinline__ float read_gate(const ReadParams &p, i64 row) {
    const float x = p.gate[row * p.stride] + *p.gate_bias;
    const float r = 1.f / (1.f + expf(-x));
    return r > p.tau ? r : 0.f;
}

struct Place {
    int b, c;
    i64 row;                                        // among all tokens
    bool there;
};

// The query number `query` of the 64 of this block.
__device__ __forceinline__ Place place(const ReadParams &p, int query) {
    Place at;
    at.b = blockIdx.y;
    at.c = blockIdx.x / PARTS;
    const int in_chunk = blockIdx.x % PARTS * 64 + query;
    const int t = at.c * CHUNK + in_chunk;
    at.there = in_chunk < CHUNK && t < p.length;
    at.row = (i64) at.b * p.length + t;
    return at;
}

__device__ __forceinline__ void add_share(i64 *to, float share, int *poison) {
    if (!(fabsf(share) < LARGEST_SHARE)) *poison = 1;
    else if (share != 0.f) atomicAdd((unsigned long long *) to, (unsigned long long) __float2ll_rn(share * FIXED_POINT));
}
