// Selective scan: what happens to a state over the ranges that L is cut into.
//
// When channels alone do not fill the GPU (batch 1, few channels), each batch's L steps are cut into `splits` ranges
// that the main kernels work on at the same time. Each needs the state at its edge, and for that the state which every
// range would end in if it began at zero, and the factor by which it shrinks what enters. Both need less than a scan:
// with S[t] the sum of the step sizes after t,
//
//   end[n] = sum_t exp(A[n] S[t]) delta[t] u[t] B[t,n],          factor[n] = exp(A[n] (sum of all step sizes)),
//
// no recurrence, so it can be summed from the end of the range backwards, in any parts, and stopped as soon as the weight
// has fallen below 2^-26 (a quarter of a unit in the last place of float32), or 2^-12 for bfloat16, which keeps 8 bits of
// what comes of it: what lies further back is forgotten. That is decided for four states of 32 channels at a time. How
// long a model remembers is in its data, so the cost of this pass is too: little where ranges are long against the memory,
// one exponential per (channel, step, state) at worst. Stopping early needs step sizes that are not negative, so it is done
// only under softplus.
//
// A block owns 32 channels of a range and goes over it in rounds, in which each warp takes 32 steps (and all states, if
// those are few): most of the time only the slowest four states are left, and were they one warp's, that warp and its
// scheduler's special-function unit would be all that works. A warp weights its steps as if its share were the first, and
// multiplies by the decay over the shares between it and the edge when all are done: one exponential per 32 steps more.
//
// The backward pass needs the same with time reversed: what the adjoint of a range's steps sends to the range before,
//
//   end'[n] = sum_t exp(A[n] S'[t]) C[t,n] dy[t],                S'[t] the sum of the step sizes up to and with t.
//
// The forward kernel walks the few ranges before its own (enter_range in selective_scan.cuh); for the backward kernel, which has
// no registers to spare, a kernel does that first. The order of additions is fixed throughout.
//
// Tried, and slower: a lane for each step instead of each channel, with S by prefix sums over lanes, so that every channel stops
// when it has forgotten itself, not with the slowest of 32; by 10 to 20 %, whether rounds come through registers or by a ring of
// copies in shared memory.
//
// [1] Martin, Cundy: Parallelizing linear recurrent neural nets over sequence length, ICLR 2018 (the decomposition).
//
// Launch: range_ends and adjoint_range_ends: grid (ceil(D / 32), splits - 1, batch), block as in selective_scan_carry_geometry;
//         adjoint_carry: grid (ceil(D N / 256), batch), block 256. No dynamic shared memory.
#include "selective_scan.cuh"

#define QUADS ceil_div(STATES, 4)
#define QPW (QUADS <= 4 ? QUADS : QUADS <= 32 ? 4 : 8)             // state quads per warp
#define PARTS ceil_div(QUADS, QPW)                                 // warps that share the states
#define SHARES (QUADS > 16 ? 1 : PARTS == 1 ? 4 : 2)               // and those that share the steps
#define STEPS 32                                                   // of a warp in a round
#define ROUND (STEPS * SHARES)
#define THREADS (32 * PARTS * SHARES)
#define ROWS (THREADS / 4)                                         // rows of 32 channels that the block loads at a time
#define WIDTH (PARTS * QPW * 4)
#define VPT ceil_div(ROUND, ROWS)
#define BV ceil_div(STATES, 8)
#define VBC ceil_div(ROUND * BV, THREADS)
#define RESIDENT (IO_BF16 && QUADS == 4 ? 3 : 1)                   // blocks per multiprocessor to aim at
#ifndef FORGOTTEN
#define FORGOTTEN (IO_BF16 ? -12.f : -26.f)
#endif

// For the host: channels per block, threads.
extern "C" __device__ int selective_scan_carry_geometry[2] = {32, THREADS};

// What the threads load of a round: steps [l, l + ROUND), of which those in [from, to) are there.
template <bool ADJOINT>
struct Fetcher {
    Packed8 deltav[VPT], uv[VPT], zv[VPT], bcv[VBC];            // uv: dout if ADJOINT; zv only then

    template <bool WHOLE>
    __device__ __forceinline__ void fetch(const ScanParams &p, i64 b, i64 l, int from, int to, int c0, int tid) {
        const int row = tid / 4, column = c0 + tid % 4 * 8;
        const io_t *delta = p.delta + b * p.deltaB + (l + row) * p.deltaL + column, *z = p.z + b * p.zB + (l + row) * p.zL + column;
        const i64 uL = ADJOINT ? p.doutL : p.uL;
        const io_t *u = (ADJOINT ? p.dout + b * p.doutB : p.u + b * p.uB) + (l + row) * uL + column;
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int t = row + i * ROWS, valid = t >= from && t < to ? p.D - column : 0;
            deltav[i] = load8_if<WHOLE>(delta, valid, p.aligned & 1);
            uv[i] = load8_if<WHOLE>(u, valid, p.aligned & 1);
            if (ADJOINT && p.z) zv[i] = load8_if<WHOLE>(z, valid, p.aligned & 1);
            delta += ROWS * p.deltaL;
            u += ROWS * uL;
            z += ROWS * p.zL;
        }
        const i64 stride = ADJOINT ? p.cL : p.bL;
        const io_t *bc = (ADJOINT ? p.C + b * p.cB : p.B + b * p.bB) + l * stride;
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS, t = index / BV, n = index % BV * 8;
            if (!WHOLE || index < ROUND * BV) bcv[i] = load8_if<WHOLE>(bc + t * stride + n, t >= from && t < to ? STATES - n : 0, p.aligned & 2);
        }
    }
};

template <bool ADJOINT>
__device__ __forceinline__ void ends(const ScanParams &p) {
    __shared__ __align__(16) float2 steps[ROUND][36];           // (delta, delta u), or (delta, dy); laid out as in forward
    __shared__ __align__(16) float bc[ROUND][WIDTH];
    __shared__ float sums[SHARES][32], bias[32];                // of a share's step sizes

    const int tid = threadIdx.x, lane = tid & 31, part = tid / 32 / SHARES, share = tid / 32 % SHARES;
    const int c0 = blockIdx.x * 32, d = c0 + lane % 4 * 8 + lane / 4;     // lane: the place of its channel in `steps`
    const i64 b = blockIdx.z, split = blockIdx.y + (ADJOINT ? 1 : 0);
    const i64 begin = split * p.tilesPerSplit * TILE, stop = begin + (i64) p.tilesPerSplit * TILE < p.L ? begin + (i64) p.tilesPerSplit * TILE : p.L;

    float A2[QPW][4], end[QPW][4], slowest[QPW], S = 0.f;
    bool alive[QPW];
#pragma unroll
    for (int q = 0; q < QPW; q++) {
        alive[q] = true;
        slowest[q] = -1e30f;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int n = (part * QPW + q) * 4 + i;
            // The padding is given a decay so steep that it never keeps a warp going.
            A2[q][i] = d < p.D && n < STATES ? p.A[(i64) d * STATES + n] * LOG2E : -1e30f;
            slowest[q] = fmaxf(slowest[q], A2[q][i]);
            end[q][i] = 0.f;
        }
    }
    if (tid < 32) bias[tid] = p.bias && c0 + tid < p.D ? p.bias[c0 + tid] : 0.f;
    for (int i = tid; i < ROUND * WIDTH; i += THREADS) (&bc[0][0])[i] = 0.f;
    __syncthreads();

    bool closed = false;
    const bool wide = ROUND % ROWS == 0 && all_wide(p, c0, 32);
    Fetcher<ADJOINT> next;
    // From the edge on: l is where a round's steps would begin if all were there.
    i64 l = ADJOINT ? begin : stop - ROUND;
    if (begin < stop) next.template fetch<false>(p, b, l, (int) max(begin - l, (i64) 0), (int) min(stop - l, (i64) ROUND), c0, tid);
    for (i64 left = stop - begin; left > 0; left -= ROUND) {
        int from = (int) max(begin - l, (i64) 0), to = (int) min(stop - l, (i64) ROUND);
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int row = tid / 4 + i * ROWS, column = tid % 4 * 8;
            float step[8], v[8];
            unpack(next.deltav[i], step);
            step_sizes(step, bias + column, row >= from && row < to, p.softplus);
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
            if (row < ROUND) {
#pragma unroll
                for (int k = 0; k < 8; k++) steps[row][k * 4 + column / 8] = make_float2(step[k], v[k]);
            }
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS, n = index % BV * 8;
            float v[8];
            unpack(next.bcv[i], v);
            if (index < ROUND * BV) {
#pragma unroll
                for (int k = 0; k < 8; k++)
                    if (n + k < STATES) bc[index / BV][n + k] = v[k];
            }
        }
        __syncthreads();

        if (RESETS) {                                           // steps behind a document's beginning do not reach the edge
#pragma unroll
            for (int i = 0; i < ROUND; i += 32) {
                const int row = ADJOINT ? ROUND - 32 - i : i;   // the one nearest to the edge comes last
                const u32 resets = __ballot_sync(0xffffffffu, row + lane >= from && row + lane < to && p.reset[b * p.L + l + row + lane]);
                if (!resets) continue;
                closed = true;
                if (ADJOINT) to = row + __ffs(resets) - 1;
                if (!ADJOINT) from = row + 31 - __clz(resets);
            }
        }
        l += ADJOINT ? ROUND : -ROUND;
        if (left > ROUND && !closed) {
            if (wide && left >= 2 * ROUND) {
                next.template fetch<true>(p, b, l, 0, ROUND, c0, tid);
            } else {
                next.template fetch<false>(p, b, l, (int) max(begin - l, (i64) 0), (int) min(stop - l, (i64) ROUND), c0, tid);
            }
        }

        float sum[QPW][4], at = 0.f;
#pragma unroll
        for (int q = 0; q < QPW; q++)
#pragma unroll
            for (int i = 0; i < 4; i++) sum[q][i] = 0.f;
#pragma unroll 1
        for (int k0 = 0; k0 < STEPS; k0 += 8) {
            const int t0 = share * STEPS + (ADJOINT ? k0 : STEPS - 1 - k0);
            float weight[8], v[8];
#pragma unroll
            for (int k = 0; k < 8; k++) {
                const int t = ADJOINT ? t0 + k : t0 - k;
                float2 s = steps[t][lane];
                if (RESETS && !(t >= from && t < to)) s = make_float2(0.f, 0.f);
                if (ADJOINT) at += s.x;
                weight[k] = at;
                v[k] = s.y;
                if (!ADJOINT) at += s.x;
            }
#pragma unroll
            for (int q = 0; q < QPW; q++) {
                if (!alive[q]) continue;
#pragma unroll
                for (int k = 0; k < 8; k++) {
                    const int t = ADJOINT ? t0 + k : t0 - k;
                    if (RESETS && !(t >= from && t < to)) continue;      // 0 times a bad value would not be 0
                    const float4 Bv = *(const float4 *) &bc[t][(part * QPW + q) * 4];
                    sum[q][0] += fast_exp2(A2[q][0] * weight[k]) * (v[k] * Bv.x);
                    sum[q][1] += fast_exp2(A2[q][1] * weight[k]) * (v[k] * Bv.y);
                    sum[q][2] += fast_exp2(A2[q][2] * weight[k]) * (v[k] * Bv.z);
                    sum[q][3] += fast_exp2(A2[q][3] * weight[k]) * (v[k] * Bv.w);
                }
            }
        }
        if (part == 0) sums[share][lane] = at;
        // Also orders this round's reads before the next one's writes.
        __syncthreads();
        float before = 0.f;
#pragma unroll
        for (int k = 0; k < SHARES; k++) {
            const int other = ADJOINT ? k : SHARES - 1 - k;
            if (other == share) before = S;
            S += sums[other][lane];
        }
        bool any = !p.softplus;
#pragma unroll
        for (int q = 0; q < QPW; q++) {
#pragma unroll
            for (int i = 0; i < 4; i++) end[q][i] += fast_exp2(A2[q][i] * before) * sum[q][i];
            if (p.softplus) {
                alive[q] = __any_sync(0xffffffffu, slowest[q] > -1e29f && slowest[q] * S > FORGOTTEN);
                any |= alive[q];
            }
        }
        // With one part all warps know the same; else some warp's states may have to go on.
        if (closed || (PARTS == 1 ? !any : !__syncthreads_or(any))) break;
    }

    // The warps that share steps add up.
    float (*shares)[32] = (float (*)[32]) &steps[0][0];
    static_assert((SHARES - 1) * WIDTH * 32 <= ROUND * 72, "the shares fit where the steps were");
    if (share > 0) {
#pragma unroll
        for (int q = 0; q < QPW; q++)
#pragma unroll
            for (int i = 0; i < 4; i++) shares[(share - 1) * WIDTH + (part * QPW + q) * 4 + i][lane] = end[q][i];
    }
    __syncthreads();
    if (share > 0 || d >= p.D) return;
#pragma unroll
    for (int q = 0; q < QPW; q++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int n = (part * QPW + q) * 4 + i;
            if (n >= STATES) continue;
#pragma unroll
            for (int k = 0; k < SHARES - 1; k++) end[q][i] += shares[k * WIDTH + n][lane];
            const i64 at = ((b * p.splits + split) * p.D + d) * STATES + n;
            p.ends[at] = end[q][i];
            // Who has forgotten has not seen whether a document begins further back: what may come from before must not pass.
            p.factors[at] = closed || (RESETS && !alive[q]) ? CLOSED : fast_exp2(A2[q][i] * S);
        }
}

extern "C" __global__ __launch_bounds__(THREADS, RESIDENT) void selective_scan_range_ends(const __grid_constant__ ScanParams p) {
    ends<false>(p);
}

extern "C" __global__ __launch_bounds__(THREADS, RESIDENT) void selective_scan_adjoint_range_ends(const __grid_constant__ ScanParams p) {
    ends<true>(p);
}

// Replaces what each range sends to the one before by what enters the range. Eight ranges are loaded at a time: the chain is in
// registers.
extern "C" __global__ __launch_bounds__(256) void selective_scan_adjoint_carry(const __grid_constant__ ScanParams p) {
    const i64 b = blockIdx.y, plane = (i64) p.D * STATES, at = (i64) blockIdx.x * 256 + threadIdx.x;
    if (at >= plane) return;
    float g = p.dhLast ? p.dhLast[b * plane + at] : 0.f;
    for (int left = p.splits; left > 0; left -= 8) {
        float end[8], factor[8];
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const i64 s = left - 1 - k;
            const bool used = s > 0;                            // nobody asks what the first one sends
            end[k] = used ? p.ends[(b * p.splits + s) * plane + at] : 0.f;
            factor[k] = used ? p.factors[(b * p.splits + s) * plane + at] : 0.f;
        }
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const i64 s = left - 1 - k;
            if (s >= 0) p.ends[(b * p.splits + s) * plane + at] = g;
            g = past_range(g, factor[k], end[k]);
        }
    }
}
