// What the selective-scan kernels share: the parameters of a launch and the way a warp is laid over the problem.
//
//   h[t,d,n] = exp(delta[t,d] A[d,n]) h[t-1,d,n] + delta[t,d] u[t,d] B[t,n]         delta = softplus(raw + bias)
//   y[t,d]   = (sum_n C[t,n] h[t,d,n] + D[d] u[t,d]) silu(z[t,d])
//
// Activations are channel-last, (batch, L, D) or (batch, L, N), the last dimension contiguous, rows any stride apart:
// what the projections and the convolution of the block produce, read in place without a transpose or copy.
//
// A channel's N states are spread over LPC neighbouring lanes with SPT states in each; a warp holds CW = 32 / LPC
// channels. For the usual N = 16 that is 4 x 4 states and 8 channels: four independent recurrences per thread hide the
// latency of the chain through h, four lanes per channel give the GPU four times the threads that channels alone
// would, and one 16-byte shared-memory read brings a step's four values of B (or C).
//
// Macros: STATES (N, 1..256), RESETS (1: packed documents), IO_BF16.
#pragma once
#include "common.cuh"

#ifndef STATES
#define STATES 16
#endif
#ifndef RESETS
#define RESETS 0
#endif

#define TILE (STATES > 64 ? 8 : 32)                 // steps per tile
#define SAVE 8                                      // steps per saved state
#define SPT (STATES > 128 ? 8 : 4)                  // states per thread
#define LANES_NEEDED ceil_div(STATES, SPT)
#define LPC (LANES_NEEDED <= 1 ? 1 : LANES_NEEDED <= 2 ? 2 : LANES_NEEDED <= 4 ? 4 : LANES_NEEDED <= 8 ? 8 : LANES_NEEDED <= 16 ? 16 : 32)
#define CW (32 / LPC)                               // channels per warp
#define NPAD (LPC * SPT)                            // N rounded up to whole lanes; the padding has A = B = C = 0

// The LPC lanes of a channel are STATE_LANE apart. With N = 16, four neighbouring lanes are four channels: then eight
// neighbouring lanes read only two places of a step's B or C, and a 16-byte read takes two passes of the shared memory
// instead of four (that memory is what bounds the forward scan otherwise), and a matrix product can sum over channels.
#ifndef STATE_LANE
#define STATE_LANE (LPC == 4 ? 4 : 1)
#endif

__device__ __forceinline__ int channel_of(int lane) { return lane % STATE_LANE + lane / (STATE_LANE * LPC) * STATE_LANE; }

__device__ __forceinline__ int first_state_of(int lane) { return lane / STATE_LANE % LPC * SPT; }

// One structure for all scan kernels, passed by value. Null pointers switch options off. Strides in elements: *B
// between batches, *L between steps. 8-byte fields first, so that the layout has no holes.
struct ScanParams {
    const io_t *u, *delta, *z, *B, *C;              // (batch,L,D) x3, (batch,L,N) x2; z may be null
    const float *A, *skip, *bias, *h0;              // (D,N), (D), (D), (batch,D,N); the last three may be null
    const u8 *reset;                                // (batch,L): nonzero where a document begins; used if RESETS
    io_t *out;                                      // (batch,L,D); read by the backward pass where there is a z
    float *hLast;                                   // (batch,D,N) or null
    io_t *states;                                   // (batch,ceil(L/TILE) TILE/SAVE,D,N): state before every SAVE steps; null: not saved
    float *ends;                                    // (batch,splits,D,N) workspace if splits > 1: where a range ends from nothing
    float *factors;                                 // (batch,splits,D,N) workspace if splits > 1: what it leaves of what enters
    const io_t *dout;                               // (batch,L,D), backward only from here
    const float *dhLast;                            // (batch,D,N) or null
    io_t *du, *ddelta, *dz, *dB, *dC;               // shaped as their inputs
    float *dA, *dskip, *dbias, *dh0;                // shaped as their inputs; all but dA may be null
    io_t *partBC;                                   // (channel tiles,batch,L,2*NPAD) workspace
    float *partA;                                   // (batch*splits,D,N) workspace
    float *partV;                                   // (batch*splits,2,D) workspace: dD, dbias
    i64 uB, uL, deltaB, deltaL, zB, zL, bB, bL, cB, cL, outB, outL, doutB, doutL;
    i64 duB, duL, ddeltaB, ddeltaL, dzB, dzL, dBB, dBL, dCB, dCL;
    i64 L;
    int D, batch;
    int splits, tilesPerSplit;                      // L is cut into `splits` ranges of tilesPerSplit tiles
    int softplus;                                   // 1: delta goes through softplus
    int aligned;                                    // bit 0: (.,.,D) tensors, bit 1: B and C are 16-byte aligned, rows too
};

// A value that stands in `factors` for "nothing passes": a document began inside the range. (0 would not do: it is what is
// left after a long time, and 0 times NaN is to stay NaN within a document.)
#define CLOSED -1.f

__device__ __forceinline__ i64 tiles_of(const ScanParams &p) { return (p.L + TILE - 1) / TILE; }

// Whether all 16-byte accesses of all threads to the tensors of a launch are allowed; for tiles with all their steps.
__device__ __forceinline__ bool all_wide(const ScanParams &p, int c0, int channels) {
    return (p.aligned & 3) == 3 && c0 + channels <= p.D && channels % 8 == 0 && STATES % 8 == 0;
}

// Step sizes of eight neighbouring channels at one step: softplus(raw + bias), or raw + bias. A step that does not exist
// (`real` false) has size 0, so that it leaves the state alone. One branch for all eight, none inside: the eight chains
// through the special-function unit overlap.
__device__ __forceinline__ void step_sizes(float (&delta)[8], const float *bias, bool real, int soft) {
    if (soft) {
#pragma unroll
        for (int k = 0; k < 8; k++) delta[k] = softplus(real ? delta[k] + bias[k] : -1e30f);
    } else {
#pragma unroll
        for (int k = 0; k < 8; k++) delta[k] = real ? delta[k] + bias[k] : 0.f;
    }
}

// The next state after one that leaves `factor` of it and adds `end`.
__device__ __forceinline__ float past_range(float h, float factor, float end) { return factor == CLOSED ? end : factor * h + end; }

// What enters a thread's range: h through the ranges before it. That is short work, and loads do not wait for one another.
__device__ __forceinline__ void enter_range(float (&h)[SPT], const ScanParams &p, i64 b, i64 split, i64 at, int states) {
    const i64 plane = (i64) p.D * STATES, first = b * p.splits * plane + at;
    const float *end = p.ends + first, *factor = p.factors + first;
#pragma unroll 4
    for (i64 k = 0; k < split; k++, end += plane, factor += plane) {
#pragma unroll
        for (int i = 0; i < SPT; i += 4) {
            if (STATES % 4 == 0 && i < states) {
                const float4 e = *(const float4 *) (end + i), f = *(const float4 *) (factor + i);
                h[i] = past_range(h[i], f.x, e.x), h[i + 1] = past_range(h[i + 1], f.y, e.y);
                h[i + 2] = past_range(h[i + 2], f.z, e.z), h[i + 3] = past_range(h[i + 3], f.w, e.w);
            } else {
#pragma unroll
                for (int j = i; j < i + 4; j++)
                    if (j < states) h[j] = past_range(h[j], factor[j], end[j]);
            }
        }
    }
}

// Of the warp's lanes, lane t: whether a document begins at step t of a tile, as bits; 0 without packed documents.
__device__ __forceinline__ u32 beginnings(const ScanParams &p, i64 b, i64 l, int rows, int lane) {
    return RESETS ? __ballot_sync(0xffffffffu, lane < rows && p.reset[b * p.L + l + lane]) : 0;
}

// The state as step t finds it. Chosen, not multiplied by 0: what an earlier document holds may be infinite or no number.
__device__ __forceinline__ float found(float h, u32 begins, int t) { return RESETS && (begins >> t & 1) ? 0.f : h; }
