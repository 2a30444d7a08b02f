// Asking for what a later kernel will read while device memory has nothing better to do.
#pragma once
#include "common.cuh"

// Asks for `bytes` from `p` on, both multiples of 16, to be brought to the second-level cache; every block of a grid of
// `blocks` takes its share. Nobody waits for it.
__device__ __forceinline__ void fetch_ahead(const void *p, i64 bytes, int block, int blocks) {
    constexpr int PIECE = 4096;
    if (!p) return;
    for (i64 at = ((i64) threadIdx.x * blocks + block) * PIECE; at < bytes; at += (i64) blockDim.x * blocks * PIECE) {
        const u32 size = (u32) (bytes - at < PIECE ? bytes - at : PIECE);
        asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"((const u8 *) p + at), "r"(size) : "memory");
    }
}
