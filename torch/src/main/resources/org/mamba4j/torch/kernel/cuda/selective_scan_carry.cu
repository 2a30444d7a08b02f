// Selective scan: the states between the ranges that L is cut into.
//
// When channels alone do not fill the GPU (batch 1, few channels), each batch's L steps are cut into `splits` ranges
// that the main kernels work on at the same time. Each needs the state at its edge, and for that the state which every
// range would end in if it began at zero, and the factor by which it shrinks what enters. Both need less than a scan:
// with S[t] the sum of the step sizes after t,
//
//   end[n] = sum_t exp(A[n] S[t]) delta[t] u[t] B[t,n],          factor[n] = exp(A[n] (sum of all step sizes)),
//
// no recurrence, so it can be summed from the end of the range backwards, and stopped as soon as the weight has
// fallen below 2^-26: what lies further back is forgotten, a quarter of a unit in the last place of float32. That is
// decided for four states of 32 channels, a warp's, at a time. How long a model remembers is in its data, so the cost of
// this pass is too: little where ranges are long against the memory, one exponential per (channel, step, state) at
// worst. Stopping early needs step sizes that are not negative, so it is done only under softplus. (Warps that share
// the steps rather than the states, so that none idles while others remember: no faster where memory is long, half
// again slower where it outlasts the range.)
//
// The backward pass needs the same with time reversed: what the adjoint of a range's steps sends to the range before,
//
//   end'[n] = sum_t exp(A[n] S'[t]) C[t,n] dy[t],                S'[t] the sum of the step sizes up to and with t.
//
// A third kernel then walks the few ranges in order; the order of additions is fixed throughout.
//
// [1] Martin, Cundy: Parallelizing linear recurrent neural nets over sequence length, ICLR 2018 (the decomposition).
//
// Launch: range_ends and adjoint_range_ends: grid (ceil(D / 32), splits - 1, batch), block 32 min(8, ceil(N / 4));
//         carry and adjoint_carry: grid (ceil(D N / 256), batch), block 256. No dynamic shared memory.
#include "selective_scan.cuh"

#define QUADS ceil_div(STATES, 4)
#define WARPS min_of(QUADS, 8)
#define THREADS (32 * WARPS)
#define QPW ceil_div(QUADS, WARPS)                  // state quads per warp
#define WIDTH (WARPS * QPW * 4)
#define VPT ceil_div(TILE * 4, THREADS)
#define BV ceil_div(STATES, 8)
#define VBC ceil_div(TILE * BV, THREADS)
#define RESIDENT (IO_BF16 && QPW == 1 && WARPS == 4 ? 9 : 1)       // blocks per multiprocessor to aim at
#define FORGOTTEN -26.f

// For the host: channels per block, threads.
extern "C" __device__ int selective_scan_carry_geometry[2] = {32, THREADS};

template <bool ADJOINT>
struct Fetcher {
    const io_t *delta[VPT], *u[VPT], *z[VPT], *bc[VBC];         // u: dout if ADJOINT; z only then
    Packed8 deltav[VPT], uv[VPT], zv[VPT], bcv[VBC];

    __device__ __forceinline__ void begin(const ScanParams &p, i64 b, i64 l, int c0, int tid) {
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int index = tid + i * THREADS;
            const i64 t = l + index / 4, c = c0 + index % 4 * 8;
            delta[i] = p.delta + b * p.deltaB + t * p.deltaL + c;
            u[i] = ADJOINT ? p.dout + b * p.doutB + t * p.doutL + c : p.u + b * p.uB + t * p.uL + c;
            z[i] = p.z + b * p.zB + t * p.zL + c;
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS, n = index % BV * 8;
            const i64 t = l + index / BV;
            bc[i] = n + (ADJOINT ? p.C + b * p.cB + t * p.cL : p.B + b * p.bB + t * p.bL);
        }
    }

    template <bool WHOLE>
    __device__ __forceinline__ void fetch(const ScanParams &p, int rows, int c0, int tid) {
        const i64 step = ADJOINT ? TILE : -TILE;
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int index = tid + i * THREADS, valid = index / 4 < rows ? p.D - c0 - index % 4 * 8 : 0;
            deltav[i] = load8_if<WHOLE>(delta[i], valid, p.aligned & 1);
            uv[i] = load8_if<WHOLE>(u[i], valid, p.aligned & 1);
            if (ADJOINT && p.z) zv[i] = load8_if<WHOLE>(z[i], valid, p.aligned & 1);
            delta[i] += step * p.deltaL;
            u[i] += step * (ADJOINT ? p.doutL : p.uL);
            z[i] += step * p.zL;
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS;
            if (!WHOLE || index < TILE * BV) bcv[i] = load8_if<WHOLE>(bc[i], index / BV < rows ? STATES - index % BV * 8 : 0, p.aligned & 2);
            bc[i] += step * (ADJOINT ? p.cL : p.bL);
        }
    }

    __device__ __forceinline__ void fetch(const ScanParams &p, int rows, int c0, int tid, bool wide) {
        if (wide && rows == TILE) {
            fetch<true>(p, rows, c0, tid);
        } else {
            fetch<false>(p, rows, c0, tid);
        }
    }
};

template <bool ADJOINT>
__device__ __forceinline__ void ends(const ScanParams &p) {
    __shared__ __align__(16) float2 steps[TILE][36];            // (delta, delta u), or (delta, dy); laid out as in forward
    __shared__ __align__(16) float bc[TILE][WIDTH];
    __shared__ float sums[WARPS][32], bias[32];

    const int tid = threadIdx.x, lane = tid & 31, warp = tid / 32;
    const int c0 = blockIdx.x * 32, d = c0 + lane % 4 * 8 + lane / 4;     // lane: the place of its channel in `steps`
    const i64 b = blockIdx.z, split = blockIdx.y + (ADJOINT ? 1 : 0);
    const i64 tiles = tiles_of(p), first = split * p.tilesPerSplit;
    const i64 last = first + p.tilesPerSplit < tiles ? first + p.tilesPerSplit : tiles;

    float A2[QPW][4], end[QPW][4], S = 0.f;
#pragma unroll
    for (int q = 0; q < QPW; q++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int n = (warp * QPW + q) * 4 + i;
            // The padding is given a decay so steep that it never keeps a warp going.
            A2[q][i] = d < p.D && n < STATES ? p.A[(i64) d * STATES + n] * LOG2E : -1e30f;
            end[q][i] = 0.f;
        }
    if (tid < 32) bias[tid] = p.bias && c0 + tid < p.D ? p.bias[c0 + tid] : 0.f;
    for (int i = tid; i < TILE * WIDTH; i += THREADS) (&bc[0][0])[i] = 0.f;
    __syncthreads();

    bool alive = true, closed = false;
    const bool wide = TILE * 4 % THREADS == 0 && all_wide(p, c0, 32);
    Fetcher<ADJOINT> next;
    i64 tile = ADJOINT ? first : last - 1;
    next.begin(p, b, tile * TILE, c0, tid);
    if (first < last) next.fetch(p, (int) min((i64) TILE, p.L - tile * TILE), c0, tid, wide);
    for (i64 count = first; count < last; count++) {
        const i64 l = tile * TILE;
        const int rows = (int) min((i64) TILE, p.L - l);
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int index = tid + i * THREADS, row = index / 4, column = index % 4 * 8;
            if (row >= TILE) continue;
            float step[8], v[8];
            unpack(next.deltav[i], step);
            step_sizes(step, bias + column, row < rows, p.softplus);
            unpack(next.uv[i], v);
            if (!ADJOINT) {
#pragma unroll
                for (int k = 0; k < 8; k++) v[k] *= step[k];
            } else if (p.z) {
                float zv[8];
                unpack(next.zv[i], zv);
#pragma unroll
                for (int k = 0; k < 8; k++) v[k] *= zv[k] * sigmoid(zv[k]);
            }
#pragma unroll
            for (int k = 0; k < 8; k++) steps[row][k * 4 + column / 8] = make_float2(step[k], v[k]);
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS, n = index % BV * 8;
            float v[8];
            unpack(next.bcv[i], v);
            if (index < TILE * BV) {
#pragma unroll
                for (int k = 0; k < 8; k++)
                    if (n + k < STATES) bc[index / BV][n + k] = v[k];
            }
        }
        __syncthreads();

        int from = 0, to = rows;                                // steps of this tile that reach the edge
        if (RESETS) {
            const u32 resets = __ballot_sync(0xffffffffu, lane < rows && p.reset[b * p.L + l + lane]);
            closed = resets != 0;
            if (closed && ADJOINT) to = __ffs(resets) - 1;
            if (closed && !ADJOINT) from = 31 - __clz(resets);
        }
        tile += ADJOINT ? 1 : -1;
        if (count + 1 < last && !closed) next.fetch(p, (int) min((i64) TILE, p.L - tile * TILE), c0, tid, wide);

        if (alive) {
#pragma unroll 4
            for (int k = 0; k < to - from; k++) {
                const int t = ADJOINT ? from + k : to - 1 - k;
                const float2 s = steps[t][lane];
                if (ADJOINT) S += s.x;
#pragma unroll
                for (int q = 0; q < QPW; q++) {
                    const float4 Bv = *(const float4 *) &bc[t][(warp * QPW + q) * 4];
                    end[q][0] += fast_exp2(A2[q][0] * S) * (s.y * Bv.x);
                    end[q][1] += fast_exp2(A2[q][1] * S) * (s.y * Bv.y);
                    end[q][2] += fast_exp2(A2[q][2] * S) * (s.y * Bv.z);
                    end[q][3] += fast_exp2(A2[q][3] * S) * (s.y * Bv.w);
                }
                if (!ADJOINT) S += s.x;
            }
        }
        if (p.softplus) {
            float slowest = -1e30f;
#pragma unroll
            for (int q = 0; q < QPW; q++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    if (A2[q][i] > -1e29f) slowest = fmaxf(slowest, A2[q][i] * S);
            alive = __any_sync(0xffffffffu, slowest > FORGOTTEN);
        }
        // Also orders this tile's reads before the next tile's writes.
        if (!__syncthreads_or(alive && !closed)) break;
    }

    // A warp that stopped early knows only part of the sum, but enough to make its own factors vanish.
    sums[warp][lane] = S;
    __syncthreads();
    if (d >= p.D) return;
    if (warp == 0) {
        for (int w = 1; w < WARPS; w++) S = sums[w][lane] > S && p.softplus ? sums[w][lane] : S;
        p.decay[(b * p.splits + split) * p.D + d] = closed ? CLOSED : S;
    }
#pragma unroll
    for (int q = 0; q < QPW; q++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int n = (warp * QPW + q) * 4 + i;
            if (n < STATES) p.carry[((b * p.splits + split) * p.D + d) * STATES + n] = end[q][i];
        }
}

extern "C" __global__ __launch_bounds__(THREADS, RESIDENT) void selective_scan_range_ends(const __grid_constant__ ScanParams p) {
    ends<false>(p);
}

extern "C" __global__ __launch_bounds__(THREADS, RESIDENT) void selective_scan_adjoint_range_ends(const __grid_constant__ ScanParams p) {
    ends<true>(p);
}

// Replaces each range's end by what enters the range. Eight ranges are loaded at a time: the chain is in registers.
template <bool ADJOINT>
__device__ __forceinline__ void carry(const ScanParams &p) {
    const i64 b = blockIdx.y, plane = (i64) p.D * STATES;
    const i64 at = (i64) blockIdx.x * 256 + threadIdx.x;
    if (at >= plane) return;
    const float *edge = ADJOINT ? p.dhLast : p.h0;
    const float A2 = p.A[at] * LOG2E;
    float h = edge ? edge[b * plane + at] : 0.f;
    for (int s0 = 0; s0 < p.splits; s0 += 8) {
        float end[8], decay[8];
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const i64 s = ADJOINT ? p.splits - 1 - (s0 + k) : s0 + k;
            const bool used = s0 + k < p.splits - 1;
            end[k] = used ? p.carry[(b * p.splits + s) * plane + at] : 0.f;
            decay[k] = used ? p.decay[(b * p.splits + s) * p.D + at / STATES] : 0.f;
        }
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const i64 s = ADJOINT ? p.splits - 1 - (s0 + k) : s0 + k;
            if (s0 + k < p.splits) p.carry[(b * p.splits + s) * plane + at] = h;
            h = (decay[k] == CLOSED ? 0.f : fast_exp2(A2 * decay[k]) * h) + end[k];
        }
    }
}

extern "C" __global__ __launch_bounds__(256) void selective_scan_carry(const __grid_constant__ ScanParams p) { carry<false>(p); }

extern "C" __global__ __launch_bounds__(256) void selective_scan_adjoint_carry(const __grid_constant__ ScanParams p) { carry<true>(p); }
