// AdamW over all parameters at once, with the norm of all gradients, clipping, and the copies that products read.
//
//   norm = factor sqrt(sum g^2),  c = factor min(1, clip / norm),  g <- c g;
//   lr <- min(lr, the parameter's greatest);
//   p <- p - lr decay p;   m <- b1 m + (1 - b1) g;   v <- b2 v + (1 - b2) g^2;
//   p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps);   copy <- p.
//
// Nothing changes, and the step t is not counted, where the norm or the loss is not finite.
//
// Idea. Parameters are cut into pieces of at most CHUNK elements, listed once in device memory with their pointers; a
// block takes a piece. So a whole model takes three launches of fixed size: adamw_norm (each piece's sum of squares),
// adamw_prepare (one block: their sum in fixed order and in double, and all numbers that depend on it), adamw_update.
// Device memory bounds it: 4 + 28 bytes a parameter, 2 more for a copy in bfloat16. The update takes the pieces in
// the other order, so that it finds the gradients that the norm read last in the cache.
//
// Launch: adamw_norm, adamw_update, adamw_clear (zero gradients) and adamw_copy (fills the copies): grid pieces, block
// 256; adamw_prepare: grid 1, block 1,024. adamw_geometry has CHUNK.
#include "vectors.cuh"

#ifndef CHUNK
#define CHUNK 4096
#endif
#define THREADS 256
#define DECAYS 1
#define WIDE_PIECE 2                                // all pointers are multiples of 16 bytes (the copy: of 8)

struct Piece {                                      // seven 64-bit numbers, as the host writes them
    float *parameter, *gradient, *mean, *square;
    bf16_t *copy;                                   // may be null
    int count, flags;                               // count in the low half
    double greatestRate;
};

struct AdamParams {
    const Piece *pieces;
    float *squares;                                 // (pieces)
    const float *loss;                              // may be null: then only the norm must be finite
    const float *rate;
    float *steps, *norm;                            // steps made; the norm before clipping
    float *control;                                 // CONTROLS numbers
    double beta1, beta2, factor, clip;              // clip 0: none
    float eps, decay;
    int count, clear;                               // pieces; whether adamw_update zeroes the gradients
};

enum { GO, SCALE, RATE, MEAN_CORRECTION, ROOT_CORRECTION, CONTROLS };

extern "C" __device__ int adamw_geometry[2] = {CHUNK, CONTROLS};

template <bool VECTOR>
__device__ __forceinline__ float sum_squares(const Piece &piece) {
    float sum = 0.f;
#pragma unroll 4
    for (int i = threadIdx.x * 4; i < piece.count; i += THREADS * 4) {
        const Four g = load4<VECTOR>(piece.gradient + i, piece.count - i);
        sum += (g.v[0] * g.v[0] + g.v[1] * g.v[1]) + (g.v[2] * g.v[2] + g.v[3] * g.v[3]);
    }
    return sum;
}

extern "C" __global__ __launch_bounds__(THREADS) void adamw_norm(const __grid_constant__ AdamParams p) {
    __shared__ float room[THREADS / 32];
    const Piece piece = p.pieces[blockIdx.x];
    const float sum = block_sum<THREADS>(piece.flags & WIDE_PIECE ? sum_squares<true>(piece) : sum_squares<false>(piece), room);
    if (threadIdx.x == 0) p.squares[blockIdx.x] = sum;
}

extern "C" __global__ __launch_bounds__(1024) void adamw_prepare(const __grid_constant__ AdamParams p) {
    __shared__ double room[32];
    double sum = 0;
#pragma unroll 4
    for (int i = threadIdx.x; i < p.count; i += 1024) sum += p.squares[i];
    sum = block_sum<1024>(sum, room);
    if (threadIdx.x != 0) return;
    const double norm = p.factor * sqrt(sum);
    const bool go = isfinite((float) norm) && (!p.loss || isfinite(*p.loss));
    const double t = (double) *p.steps + 1;
    *p.norm = (float) norm;
    if (go) *p.steps = (float) t;
    p.control[GO] = go ? 1.f : 0.f;
    p.control[SCALE] = (float) (p.factor * (p.clip > 0 && norm > p.clip ? p.clip / norm : 1.));
    p.control[RATE] = *p.rate;
    p.control[MEAN_CORRECTION] = (float) (1. / (1. - pow(p.beta1, t)));
    p.control[ROOT_CORRECTION] = (float) sqrt(1. - pow(p.beta2, t));
}

template <bool VECTOR>
__device__ __forceinline__ void update(const AdamParams &p, const Piece &piece) {
    const float scale = p.control[SCALE], rate = fminf(p.control[RATE], (float) piece.greatestRate);
    const float stepSize = rate * p.control[MEAN_CORRECTION], root = 1.f / p.control[ROOT_CORRECTION];
    const float decay = piece.flags & DECAYS ? rate * p.decay : 0.f;
    const float b1 = (float) p.beta1, c1 = (float) (1. - p.beta1), b2 = (float) p.beta2, c2 = (float) (1. - p.beta2);
#pragma unroll 2
    for (int i = threadIdx.x * 4; i < piece.count; i += THREADS * 4) {
        const int left = piece.count - i;
        const Four g = load4<VECTOR>(piece.gradient + i, left);
        Four x = load4<VECTOR>(piece.parameter + i, left), m = load4<VECTOR>(piece.mean + i, left), v = load4<VECTOR>(piece.square + i, left);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float slope = g.v[j] * scale;
            m.v[j] = b1 * m.v[j] + c1 * slope;
            v.v[j] = b2 * v.v[j] + c2 * slope * slope;
            x.v[j] -= decay * x.v[j];
            x.v[j] -= stepSize * m.v[j] / (sqrtf(v.v[j]) * root + p.eps);
        }
        store4<VECTOR>(piece.parameter + i, x, left);
        store4<VECTOR>(piece.mean + i, m, left);
        store4<VECTOR>(piece.square + i, v, left);
        if (piece.copy) store4<VECTOR>(piece.copy + i, x, left);
        if (p.clear) store4<VECTOR>(piece.gradient + i, {0.f, 0.f, 0.f, 0.f}, left);
    }
}

extern "C" __global__ __launch_bounds__(THREADS) void adamw_clear(const __grid_constant__ AdamParams p) {
    const Piece piece = p.pieces[blockIdx.x];
    for (int i = threadIdx.x * 4; i < piece.count; i += THREADS * 4) {
        if (piece.flags & WIDE_PIECE) {
            store4<true>(piece.gradient + i, {0.f, 0.f, 0.f, 0.f}, piece.count - i);
        } else {
            store4<false>(piece.gradient + i, {0.f, 0.f, 0.f, 0.f}, piece.count - i);
        }
    }
}

extern "C" __global__ __launch_bounds__(THREADS) void adamw_copy(const __grid_constant__ AdamParams p) {
    const Piece piece = p.pieces[blockIdx.x];
    for (int i = threadIdx.x; piece.copy && i < piece.count; i += THREADS) put(piece.copy + i, piece.parameter[i]);
}

extern "C" __global__ __launch_bounds__(THREADS) void adamw_update(const __grid_constant__ AdamParams p) {
    const Piece piece = p.pieces[gridDim.x - 1 - blockIdx.x];
    if (p.control[GO] != 0.f) {
        if (piece.flags & WIDE_PIECE) {
            update<true>(p, piece);
        } else {
            update<false>(p, piece);
        }
    } else if (p.clear) {
        for (int i = threadIdx.x; i < piece.count; i += THREADS) piece.gradient[i] = 0.f;
    }
}
