// Selective scan, forward.
//
// Idea. The reference implementation [1] gives each channel a block and scans time in parallel inside it, N times over.
// Here time runs sequentially in each thread and parallelism comes from channels x state groups (selective_scan.cuh)
// and, where those do not fill the GPU, from cutting L into a few long ranges whose initial states a cheap first pass
// finds (selective_scan_carry.cu). Sequential time needs no scan operators, so a (channel, step, state) costs the least
// there is: two multiplications, one exponential, two fused multiply-adds.
//
// Per tile of 32 steps and TC channels (32 for N = 16) a block
//   1. turns u and delta (fetched into registers one tile ahead, 16 bytes per access) into the pairs
//      (delta, delta u) in shared memory, and B, C into float32: each element's softplus is evaluated once, not once
//      per state lane;
//   2. scans, all 32 steps unrolled: per step a thread reads half of two steps' pairs and 4 + 4 values of B and C; the four
//      lanes of a channel sum their shares of y four steps at a time (3 shuffles instead of 8), four steps late, so that
//      nobody waits for the shuffles;
//   3. finishes y with D, u and silu(z) in the access order of 1 and stores it.
// With `states` given, h before every eight steps is stored for the backward pass: 2 N / 8 bytes per element in bfloat16.
//
// Floors (8 x 2048 x 1536, N = 16, bfloat16, H200 at 1.98 GHz), of which the first three are close together:
//   shared memory to registers     33.7 M passes at 132 per cycle                                   129 us
//   special-function unit          20 evaluations per element at 16 x 132 per cycle                 120 us
//   instructions                   9.3 per (channel, step, state) at 128 x 132 per cycle            112 us
//   device memory                  12 bytes per element (8 without saved states) at 4.27 TB/s        71 us
// Reading B and C is what the first is about: every lane needs its own copy in registers, and the data path delivers
// 128 bytes a cycle even when lanes read the same word, unless neighbouring lanes do (STATE_LANE).
//
// [1] Gu, Dao: Mamba, linear-time sequence modeling with selective state spaces, 2023, section 3.3 and appendix D.
// [2] Blelloch: Prefix sums and their applications, 1990 (the scan that this avoids inside a range).
//
// Launch: grid (ceil(D / TC), splits, batch); TC and block size are read from selective_scan_forward_geometry in the
//         module (32 and 128 for N = 16); no dynamic shared memory.
#include "selective_scan.cuh"

#define THREADS (LPC == 1 ? 32 : LPC == 2 ? 64 : 128)
#define TC (CW * THREADS / 32)
#define GROUPS ceil_div(TC, 8)
#define VPT ceil_div(TILE * GROUPS, THREADS)
#define BV ceil_div(STATES, 8)
#define VBC ceil_div(2 * TILE * BV, THREADS)
#define SLOTS (GROUPS * 8)
#define AHEAD 2                                     // steps that the scan loads before it needs them

// For the host: channels per block, threads, bytes of dynamic shared memory, steps per tile, N padded, steps per saved state.
extern "C" __device__ int selective_scan_forward_geometry[6] = {TC, THREADS, 0, TILE, NPAD, SAVE};

struct Place {
    int row, column;

    // The eight elements that thread `tid` loads, and stores, in its i-th turn.
    __device__ __forceinline__ Place(int i, int tid) : row((tid + i * THREADS) / GROUPS), column((tid + i * THREADS) % GROUPS * 8) {}

    __device__ __forceinline__ int valid(int rows, int channels) const { return row < rows ? min(TC - column, channels - column) : 0; }
};

// Reads tile after tile; where to read next is kept as pointers, since 64-bit index arithmetic would cost as much per
// tile as a tenth of the scan.
struct Fetcher {
    const io_t *u[VPT], *delta[VPT], *z[VPT], *bc[VBC];
    Packed8 uv[VPT], deltav[VPT], zv[VPT], bcv[VBC];

    __device__ __forceinline__ void begin(const ScanParams &p, i64 b, i64 l, int c0, int tid) {
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const Place q(i, tid);
            const i64 t = l + q.row, c = c0 + q.column;
            u[i] = p.u + b * p.uB + t * p.uL + c;
            delta[i] = p.delta + b * p.deltaB + t * p.deltaL + c;
            z[i] = p.z + b * p.zB + t * p.zL + c;
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS, row = index / BV % TILE, n = index % BV * 8;
            bc[i] = n + (index >= TILE * BV ? p.C + b * p.cB + (l + row) * p.cL : p.B + b * p.bB + (l + row) * p.bL);
        }
    }

    template <bool WHOLE>
    __device__ __forceinline__ void fetch(const ScanParams &p, int rows, int c0, int tid) {
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int valid = Place(i, tid).valid(rows, p.D - c0);
            uv[i] = load8_if<WHOLE>(u[i], valid, p.aligned & 1);
            deltav[i] = load8_if<WHOLE>(delta[i], valid, p.aligned & 1);
            if (p.z) zv[i] = load8_if<WHOLE>(z[i], valid, p.aligned & 1);
            u[i] += TILE * p.uL;
            delta[i] += TILE * p.deltaL;
            z[i] += TILE * p.zL;
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS;
            const int valid = index / BV % TILE < rows && index < 2 * TILE * BV ? STATES - index % BV * 8 : 0;
            bcv[i] = load8_if<WHOLE>(bc[i], valid, p.aligned & 2);
            bc[i] += TILE * (index >= TILE * BV ? p.cL : p.bL);
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

struct Step {
    float2 size;
    float B[SPT], C[SPT];

    __device__ __forceinline__ void decays(float (&a)[SPT], const float (&A2)[SPT]) const {
#pragma unroll
        for (int i = 0; i < SPT; i++) a[i] = fast_exp2(size.x * A2[i]);
    }

    __device__ __forceinline__ void read(float2 sizes, const float *b, const float *c) {
        size = sizes;
#pragma unroll
        for (int i = 0; i < SPT; i += 4) {
            *(float4 *) (B + i) = *(const float4 *) (b + i);
            *(float4 *) (C + i) = *(const float4 *) (c + i);
        }
    }
};

#define SUM_LANES(y) lane_sums<STATE_LANE, STATE_LANE * LPC, 4>(y, lane)

// Stores the sums of the four steps from t that this lane holds after SUM_LANES.
__device__ __forceinline__ void keep(float (*ys)[SLOTS + 2], const float *y, int t, int slot, int lane) {
    if (keeps<STATE_LANE, STATE_LANE * LPC, 4>(lane)) {
#pragma unroll
        for (int j = 0; j < at_least_one(4 / LPC); j++) ys[t + kept_index<STATE_LANE, STATE_LANE * LPC, 4>(lane) + j][slot % GROUPS * 8 + slot / GROUPS] = y[j];
    }
}

extern "C" __global__ __launch_bounds__(THREADS, IO_BF16 && SPT == 4 && VPT == 1 ? 4 : THREADS == 128 ? 3 : 1) void
selective_scan_forward(const __grid_constant__ ScanParams p) {
    // (delta, delta u) of two steps. Channel 8 g + k of the tile is at k GROUPS + g, and rows are GROUPS longer than their
    // content, so that the threads of a warp, each with eight channels of one step, write to different banks.
    __shared__ __align__(16) float4 steps[TILE / 2][SLOTS + GROUPS];
    __shared__ __align__(16) float bc[2][TILE][NPAD];
    __shared__ __align__(16) float ys[TILE][SLOTS + 2];
    __shared__ __align__(16) float channel[2][SLOTS];      // bias, skip
    __shared__ u32 documents;                                   // which steps of the tile begin one

    const int tid = threadIdx.x, lane = tid & 31;
    const int slot = tid / 32 * CW + channel_of(lane), c = slot % GROUPS * 8 + slot / GROUPS;
    const int c0 = blockIdx.x * TC, d = c0 + c, n0 = first_state_of(lane);
    const i64 b = blockIdx.z, split = blockIdx.y;
    const i64 tiles = tiles_of(p), first = split * p.tilesPerSplit;
    const i64 last = first + p.tilesPerSplit < tiles ? first + p.tilesPerSplit : tiles;

    float A2[SPT], h[SPT];
    const float *start = p.h0 ? p.h0 + b * p.D * STATES : nullptr;
#pragma unroll
    for (int i = 0; i < SPT; i++) {
        const bool real = d < p.D && n0 + i < STATES;
        A2[i] = real ? p.A[(i64) d * STATES + n0 + i] * LOG2E : 0.f;
        h[i] = real && start ? start[(i64) d * STATES + n0 + i] : 0.f;
    }
    if (split > 0 && d < p.D) enter_range(h, p, b, split, (i64) d * STATES + n0, STATES - n0);
    for (int i = tid; i < SLOTS; i += THREADS) {
        channel[0][i] = p.bias && c0 + i < p.D ? p.bias[c0 + i] : 0.f;
        channel[1][i] = p.skip && c0 + i < p.D ? p.skip[c0 + i] : 0.f;
    }
    // Columns of B and C that no state has stay zero.
    for (int i = tid; i < 2 * TILE * NPAD; i += THREADS) (&bc[0][0][0])[i] = 0.f;
    __syncthreads();

    // Every thread has all its accesses in every turn.
    const bool wide = TILE * GROUPS % THREADS == 0 && 2 * TILE * BV % THREADS == 0 && all_wide(p, c0, TC);
    Fetcher next;
    next.begin(p, b, first * TILE, c0, tid);
    if (first < last) next.fetch(p, (int) min((i64) TILE, p.L - first * TILE), c0, tid, wide);
    io_t *out[VPT];
#pragma unroll
    for (int i = 0; i < VPT; i++) {
        const Place q(i, tid);
        out[i] = p.out + b * p.outB + (first * TILE + q.row) * p.outL + c0 + q.column;
    }
    io_t *saved = p.states + ((b * tiles + first) * (TILE / SAVE) * p.D + d) * STATES + n0;
    const int savable = p.states && d < p.D ? STATES - n0 : 0;

    for (i64 tile = first; tile < last; tile++) {
        const i64 l = tile * TILE;
        const int rows = (int) min((i64) TILE, p.L - l);
        Packed8 u[VPT], z[VPT];
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const Place q(i, tid);
            u[i] = next.uv[i];
            z[i] = next.zv[i];
            if (q.row < TILE) {
                float uv[8], step[8];
                unpack(u[i], uv);
                unpack(next.deltav[i], step);
                step_sizes(step, channel[0] + q.column, q.row < rows, p.softplus);
#pragma unroll
                for (int k = 0; k < 8; k++) {
                    float2 *two = (float2 *) &steps[q.row / 2][k * GROUPS + q.column / 8];
                    two[q.row % 2] = make_float2(step[k], step[k] * uv[k]);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            const int index = tid + i * THREADS, row = index / BV % TILE, n = index % BV * 8;
            float v[8];
            unpack(next.bcv[i], v);
            if (index < 2 * TILE * BV) {
                float *to = bc[index >= TILE * BV][row] + n;
#pragma unroll
                for (int k = 0; k < 8; k++)
                    if (n + k < STATES) to[k] = v[k];
            }
        }
        if (RESETS && tid < 32) {
            const u32 bits = beginnings(p, b, l, rows, lane);
            if (lane == 0) documents = bits;
        }
        __syncthreads();
        const u32 begins = RESETS ? documents : 0;

        if (tile + 1 < last) next.fetch(p, (int) min((i64) TILE, p.L - l - TILE), c0, tid, wide);
        // Software pipeline: a step's operands are read AHEAD steps, its exponentials taken one step, before it runs, and
        // y is summed over lanes four steps after.
        const float *bt = &bc[0][0][n0], *ct = &bc[1][0][n0];
        Step ahead[AHEAD];
        float4 two;
        float a[SPT], y[4], last[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            if (j % 2 == 0) two = steps[j / 2][slot];
            ahead[j].read(j % 2 ? make_float2(two.z, two.w) : make_float2(two.x, two.y), bt + j * NPAD, ct + j * NPAD);
        }
        ahead[0].decays(a, A2);
#pragma unroll
        for (int t = 0; t < TILE; t += 4) {
            if (t % SAVE == 0) {
                if (savable > 0) store<SPT>(saved, h, savable, STATES % SPT == 0);
                saved += (i64) p.D * STATES;
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const Step s = ahead[j % AHEAD];
                const int later = (t + j + AHEAD) % TILE;
                if (later % 2 == 0) two = steps[later / 2][slot];
                ahead[j % AHEAD].read(later % 2 ? make_float2(two.z, two.w) : make_float2(two.x, two.y), bt + later * NPAD, ct + later * NPAD);
                float after[SPT];
                ahead[(j + 1) % AHEAD].decays(after, A2);
                y[j] = 0.f;
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    h[i] = a[i] * found(h[i], begins, t + j) + s.size.y * s.B[i];
                    y[j] += s.C[i] * h[i];
                    a[i] = after[i];
                }
                if (j == 0) SUM_LANES(last);
                // At t = 0 there is nothing to store yet: what is, is overwritten after the loop.
                if (j == 3) keep(ys, last, (t + TILE - 4) % TILE, slot, lane);
            }
#pragma unroll
            for (int j = 0; j < 4; j++) last[j] = y[j];
        }
        SUM_LANES(last);
        keep(ys, last, TILE - 4, slot, lane);
        __syncthreads();

#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const Place q(i, tid);
            const int valid = q.valid(rows, p.D - c0);
            if (valid <= 0) continue;
            float uv[8], zv[8], y[8];
            unpack(u[i], uv);
#pragma unroll
            for (int k = 0; k < 8; k += 2) *(float2 *) (y + k) = *(const float2 *) &ys[q.row][q.column + k];
#pragma unroll
            for (int k = 0; k < 8; k++) y[k] += channel[1][q.column + k] * uv[k];
            if (p.z) {
                unpack(z[i], zv);
#pragma unroll
                for (int k = 0; k < 8; k++) y[k] *= zv[k] * sigmoid(zv[k]);
            }
            store8(out[i], y, valid, p.aligned & 1);
            out[i] += TILE * p.outL;
        }
    }

    if (p.hLast && split == p.splits - 1 && d < p.D) {
#pragma unroll
        for (int i = 0; i < SPT; i++)
            if (n0 + i < STATES) p.hLast[(b * p.D + d) * STATES + n0 + i] = h[i];
    }
}
