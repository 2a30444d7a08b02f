// Four neighbouring elements of float32 or of the activations' type, and sums over a warp or a block: the ground of the
// kernels that are bound by device memory. Loads are plain ones, since some kernels write where they have read.
#pragma once
#include "common.cuh"

typedef unsigned short bf16_t;

struct Four {
    float v[4];
};

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16_t x) { return __uint_as_float((u32) x << 16); }
__device__ __forceinline__ void put(float *p, float x) { *p = x; }
__device__ __forceinline__ void put(bf16_t *p, float x) { *p = (bf16_t) (pack_bf16(x, 0.f) & 0xffffu); }

__device__ __forceinline__ Four four(const float *p) {
    const float4 r = *(const float4 *) p;
    return {r.x, r.y, r.z, r.w};
}

__device__ __forceinline__ Four four(const bf16_t *p) {
    const uint2 r = *(const uint2 *) p;
    return {__uint_as_float(r.x << 16), __uint_as_float(r.x & 0xffff0000u), __uint_as_float(r.y << 16), __uint_as_float(r.y & 0xffff0000u)};
}

__device__ __forceinline__ void put_four(float *p, const Four &f) { *(float4 *) p = make_float4(f.v[0], f.v[1], f.v[2], f.v[3]); }

__device__ __forceinline__ void put_four(bf16_t *p, const Four &f) {
    *(uint2 *) p = make_uint2(pack_bf16(f.v[0], f.v[1]), pack_bf16(f.v[2], f.v[3]));
}

// p[0..valid) and zeros beyond. VECTOR: p is a multiple of four elements' size.
template <bool VECTOR, typename T>
__device__ __forceinline__ Four load4(const T *p, i64 valid) {
    if (VECTOR && valid >= 4) return four(p);
    Four r;
#pragma unroll
    for (int i = 0; i < 4; i++) r.v[i] = i < valid ? widen(p[i]) : 0.f;
    return r;
}

template <bool VECTOR, typename T>
__device__ __forceinline__ void store4(T *p, const Four &f, i64 valid) {
    if (VECTOR && valid >= 4) {
        put_four(p, f);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < valid) put(p + i, f.v[i]);
}

// The sum over the lanes whose numbers differ in the bits below COUNT, the same bits in each of them.
template <int COUNT, typename T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
    for (int bit = 1; bit < COUNT; bit *= 2) x += __shfl_xor_sync(0xffffffffu, x, bit);
    return x;
}

// The sum over the block's COUNT threads, in each of them. `room` has a place for each warp.
template <int COUNT, typename T>
__device__ __forceinline__ T block_sum(T x, T *room) {
    x = warp_sum<32>(x);
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
#pragma unroll
    for (int i = 0; i < COUNT / 32; i++) x += room[i];
    __syncthreads();                                // so that `room` can be used again
    return x;
}
