// Selective scan, backward, by recomputation.
//
// With g[t] the adjoint of h[t] (all states n, channel d), dy the gradient before the gate, a[t,n] = exp(delta A[n]):
//
//   g[t]  = C[t] dy[t] + a[t+1] g[t+1]
//   dC[t] = sum_d dy h[t],   dB[t] = sum_d g[t] delta u,   d(delta u) = sum_n g[t] B[t],
//   q[t]  = g[t] a[t] h[t-1],   ddelta = sum_n q[t] A + d(delta u) u,   dA = sum_t q[t] delta.
//
// Idea. The forward pass saved h before every tile of 32 steps; nothing else is kept. A block owns TC channels (32 for
// N = 16) of one range of L and walks its tiles from last to first, g in registers. Within a tile, h at every eighth
// step is found by one sweep over the first 24; then, eight steps at a time from the last, h and a are computed again
// into registers (8 x 4 x 2 of them) and the adjoint runs down over them. So every exponential is taken 1.75 times more
// than in the forward pass alone, and 4 N bytes per element are neither written nor read.
//
// Sums over states go over the four lanes of a channel, four steps at a time. Sums over channels (dB, dC) go over the
// eight channels of a warp through the tensor cores (channel_sums; by shuffles for other N), over the warps through
// shared memory, over blocks through `partBC`, added up by the kernels at the end. There are no atomics: the order of
// every sum is fixed, and results are the same in every run.
//
// Floors (8 x 2048 x 1536, N = 16, bfloat16, H200 at 1.98 GHz): 33.3 instructions per (channel, step, state), 401 us;
// 131 M passes of shared memory, 501 us; 1.75 + 0.44 special functions per (channel, step, state), 211 us; 20 bytes of
// device memory per element, 119 us. What keeps it from the first two is that 128 registers per thread leave room for
// 16 warps per multiprocessor (12 where one range gives 2.9 blocks per multiprocessor).
//
// [1] Gu, Dao: Mamba, 2023, section 3.3.2 (recomputation).
// [2] Griewank, Walther: Algorithm 799: revolve, ACM TOMS 26, 2000 (checkpoints in reverse differentiation).
//
// Launch: selective_scan_backward: grid (ceil(D / TC), splits, batch); TC, block size and bytes of dynamic shared memory
//         are read from selective_scan_backward_geometry in the module (32, 128 and about 47 kB for N = 16);
//         selective_scan_sum_bc: grid (ceil(batch L 2 N / 256)), block 256;
//         selective_scan_sum_parameters: grid (ceil(D (N + 2) / 256)), block 256.
#include "selective_scan.cuh"

#define THREADS (LPC == 1 ? 64 : LPC <= 4 ? 128 : 256)
#define WARPS (THREADS / 32)
#define TC (CW * WARPS)
#define GROUPS ceil_div(TC, 8)
#define VPT ceil_div(TILE * GROUPS, THREADS)
#define BV ceil_div(STATES, 8)
#define SUB 8
#define SUBS (TILE / SUB)
#define KEPT at_least_one(4 / LPC)                  // of four steps' sums over states, those that one lane keeps
#define KEPT_BC at_least_one(2 * SPT / CW)          // of a step's sums over a warp's channels, those that one lane keeps
#define BUFFERS (NPAD > 128 ? 1 : 2)
#define SLOTS (GROUPS * 8)

// Four lanes per channel (N = 9..16): sums over channels go through the tensor cores, see channel_sums; the four lanes
// that one of its products sums over are neighbours there.
#define BY_TENSOR (STATES > 8 && STATES <= 16)
#define SHARES (BY_TENSOR ? 2 * WARPS : WARPS)      // sums over channels that a block still has to add up

// Channel 8 g + k of the tile is at k GROUPS + g of each row ("slot"): threads that load eight channels each then write
// neighbouring words. Rows are a little longer than that, so that lanes at four different steps hit other banks.
struct Shared {
    float4 v[TILE][SLOTS + 4];                      // (delta, delta u, dy, u), then, steps done, (y, du, ddelta, -)
    float b[TILE][NPAD], c[TILE][NPAD];
    float4 states[SUBS][SPT / 4][THREADS];          // h before each SUB steps
    float sums[BUFFERS][SHARES][SUB][2 * NPAD];     // dB, dC summed over some of the channels
    float open[TILE];
    float bias[SLOTS];
};

// For the host: channels per block, threads, bytes of dynamic shared memory, steps per tile, N padded.
extern "C" __device__ int selective_scan_backward_geometry[5] = {TC, THREADS, sizeof(Shared), TILE, NPAD};

struct Tile {
    i64 b, l;
    int rows, c0, tid;

    __device__ __forceinline__ int row(int i) const { return (tid + i * THREADS) / GROUPS; }

    __device__ __forceinline__ int column(int i) const { return (tid + i * THREADS) % GROUPS * 8; }

    __device__ __forceinline__ int valid(int i, int channels) const {
        return row(i) < rows ? min(TC - column(i), channels - c0 - column(i)) : 0;
    }

    // Address of the i-th eight elements: what is the same for all threads apart from what is not, so that the 64-bit
    // multiplications are done once per warp. (Rows less than 2^26 elements apart.)
    template <class T>
    __device__ __forceinline__ T *at(T *tensor, i64 batchStride, i64 rowStride, int i) const {
        return tensor + (b * batchStride + l * rowStride + c0) + (row(i) * (int) rowStride + column(i));
    }
};

template <bool WHOLE>
__device__ __forceinline__ void load_tile(Shared &s, const ScanParams &p, const Tile &w) {
#pragma unroll 1
    for (int i = 0; i < VPT; i++) {
        const int row = w.row(i), column = w.column(i), valid = w.valid(i, p.D);
        if (row >= TILE) break;
        const Packed8 up = load8_if<WHOLE>(w.at(p.u, p.uB, p.uL, i), valid, p.aligned & 1);
        const Packed8 dp = load8_if<WHOLE>(w.at(p.delta, p.deltaB, p.deltaL, i), valid, p.aligned & 1);
        const Packed8 gp = load8_if<WHOLE>(w.at(p.dout, p.doutB, p.doutL, i), valid, p.aligned & 1);
        Packed8 zp;
        if (p.z) zp = load8_if<WHOLE>(w.at(p.z, p.zB, p.zL, i), valid, p.aligned & 1);
        float u[8], delta[8], dy[8];
        unpack(gp, dy);
        if (p.z) {
            float z[8];
            unpack(zp, z);
#pragma unroll
            for (int k = 0; k < 8; k++) dy[k] *= z[k] * sigmoid(z[k]);
        }
        unpack(up, u);
        unpack(dp, delta);
        step_sizes(delta, s.bias + column, row < w.rows, p.softplus);
#pragma unroll
        for (int k = 0; k < 8; k++) s.v[row][k * GROUPS + column / 8] = make_float4(delta[k], delta[k] * u[k], dy[k], u[k]);
    }
    for (int index = w.tid; index < 2 * TILE * BV; index += THREADS) {
        const bool isC = index >= TILE * BV;
        const int row = index / BV % TILE, n = index % BV * 8;
        const io_t *source = isC ? p.C + w.b * p.cB + w.l * p.cL : p.B + w.b * p.bB + w.l * p.bL;
        float v[8];
        unpack(load8_if<WHOLE>(source + (row * (int) (isC ? p.cL : p.bL) + n), row < w.rows ? STATES - n : 0, p.aligned & 2), v);
#pragma unroll
        for (int k = 0; k < 8; k++)
            if (n + k < STATES) (isC ? s.c : s.b)[row][n + k] = v[k];
    }
    if (RESETS && w.tid < TILE) s.open[w.tid] = w.tid < w.rows && p.reset[w.b * p.L + w.l + w.tid] ? 0.f : 1.f;
}

// Brings the tile before this one to the second-level cache while this one is worked on.
__device__ __forceinline__ void prefetch_tile(const ScanParams &p, Tile w) {
    w.l -= TILE;
#pragma unroll 1
    for (int i = 0; i < VPT; i++) {
        if (w.row(i) >= TILE || w.c0 + w.column(i) >= p.D) break;
        prefetch(w.at(p.u, p.uB, p.uL, i));
        prefetch(w.at(p.delta, p.deltaB, p.deltaL, i));
        prefetch(w.at(p.dout, p.doutB, p.doutL, i));
        if (p.z) prefetch(w.at(p.z, p.zB, p.zL, i));
    }
    if (w.tid < TILE) {
        prefetch(p.B + w.b * p.bB + w.l * p.bL + w.tid * (int) p.bL);
        prefetch(p.C + w.b * p.cB + w.l * p.cL + w.tid * (int) p.cL);
    }
}

template <bool WHOLE>
__device__ __forceinline__ void store_tile(const Shared &s, const ScanParams &p, const Tile &w) {
#pragma unroll 1
    for (int i = 0; i < VPT; i++) {
        const int row = w.row(i), column = w.column(i), valid = w.valid(i, p.D);
        if (valid <= 0) continue;
        Packed8 zp, gp;
        if (p.z) {
            zp = load8_if<WHOLE>(w.at(p.z, p.zB, p.zL, i), valid, p.aligned & 1);
            gp = load8_if<WHOLE>(w.at(p.dout, p.doutB, p.doutL, i), valid, p.aligned & 1);
        }
        float y[8], du[8], dd[8];
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const float4 v = s.v[row][k * GROUPS + column / 8];
            y[k] = v.x, du[k] = v.y, dd[k] = v.z;
        }
        store8(w.at(p.du, p.duB, p.duL, i), du, valid, p.aligned & 1);
        store8(w.at(p.ddelta, p.ddeltaB, p.ddeltaL, i), dd, valid, p.aligned & 1);
        if (p.z) {
            float z[8], dout[8];
            unpack(zp, z);
            unpack(gp, dout);
#pragma unroll
            for (int k = 0; k < 8; k++) {
                const float gate = sigmoid(z[k]);
                y[k] *= dout[k] * gate * (1.f + z[k] * (1.f - gate));
            }
            store8(w.at(p.dz, p.dzB, p.dzL, i), y, valid, p.aligned & 1);
        }
    }
}

#if BY_TENSOR
// Sums of four values over each four neighbouring lanes (channels) by a matrix product, D = V S: row r of V holds what
// the four lanes of group r (or r - 8) contribute, two of their values in eight columns; S, of zeros and ones, adds the
// first four columns into the even columns of D and the other four into the odd ones, so that every lane of the group
// ends with all four sums. One instruction in place of 14 or more with shuffles. The tensor cores read 10 bits of
// mantissa: enough for sums that leave as bfloat16; for float32, what that cuts off is summed in the same way.
struct Selector {
    u32 low, high;
};

__device__ __forceinline__ float4 product(float4 d, const float *v, Selector s) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=f"(d.x), "=f"(d.y), "=f"(d.z), "=f"(d.w)
        : "r"(__float_as_uint(v[0])), "r"(__float_as_uint(v[2])), "r"(__float_as_uint(v[1])), "r"(__float_as_uint(v[3])),
          "r"(s.low), "r"(s.high), "f"(d.x), "f"(d.y), "f"(d.z), "f"(d.w));
    return d;
}

__device__ __forceinline__ float4 channel_sums(const float *v, Selector s) {
    float4 d = product(make_float4(0.f, 0.f, 0.f, 0.f), v, s);
#if !IO_BF16
    float rest[4];
#pragma unroll
    for (int i = 0; i < 4; i++) rest[i] = v[i] - __uint_as_float(__float_as_uint(v[i]) & 0xffffe000u);
    d = product(d, rest, s);
#endif
    return d;
}
#endif

template <int COUNT>
__device__ __forceinline__ void read4(float (&v)[COUNT], const float *p) {
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) *(float4 *) (v + i) = *(const float4 *) (p + i);
}

extern "C" __global__ __launch_bounds__(THREADS, LPC <= 4 ? 512 / THREADS : 1) void
selective_scan_backward(const __grid_constant__ ScanParams p) {
    extern __shared__ __align__(16) char raw[];
    Shared &s = *(Shared *) raw;

    const int tid = threadIdx.x, lane = tid & 31, warp = tid / 32;
    const int slot = warp * CW + channel_of(lane);
    const int c0 = blockIdx.x * TC, d = c0 + slot % GROUPS * 8 + slot / GROUPS, n0 = first_state_of(lane);
    const i64 b = blockIdx.z, split = blockIdx.y;
    const i64 tiles = tiles_of(p), first = split * p.tilesPerSplit;
    const i64 last = first + p.tilesPerSplit < tiles ? first + p.tilesPerSplit : tiles;
    const i64 plane = (i64) p.D * STATES, at = (i64) d * STATES + n0;

    float A2[SPT], g[SPT], dA[SPT], dskip = 0.f, dbias = 0.f;       // g is a[t+1] g[t+1]
    const float *edge = p.splits > 1 ? p.carry + (b * p.splits + split) * plane : p.dhLast ? p.dhLast + b * plane : nullptr;
    const float skip = p.skip && d < p.D ? p.skip[d] : 0.f;
#pragma unroll
    for (int i = 0; i < SPT; i++) {
        const bool real = d < p.D && n0 + i < STATES;
        A2[i] = real ? p.A[at + i] * LOG2E : 0.f;
        g[i] = real && edge ? edge[at + i] : 0.f;
        dA[i] = 0.f;
    }
    for (int i = tid; i < TILE * NPAD; i += THREADS) (&s.b[0][0])[i] = (&s.c[0][0])[i] = 0.f;
    for (int i = tid; i < SLOTS; i += THREADS) s.bias[i] = p.bias && c0 + i < p.D ? p.bias[c0 + i] : 0.f;

#if BY_TENSOR
    const Selector select = {lane / 4 % 2 == 0 ? 0x3f800000u : 0u, lane / 4 % 2 == 1 ? 0x3f800000u : 0u};
#endif
    float *shares = p.partBC + (blockIdx.x * (i64) p.batch + b) * p.L * 2 * NPAD;
    const bool wide = TILE * GROUPS % THREADS == 0 && all_wide(p, c0, TC);
    int buffer = 0;
    for (i64 tile = last - 1; tile >= first; tile--) {
        const Tile w = {b, tile * TILE, (int) min((i64) TILE, p.L - tile * TILE), c0, tid};
        float h[SPT];
#pragma unroll
        for (int i = 0; i < SPT; i++)
            h[i] = d < p.D && n0 + i < STATES ? __ldg(p.states + (b * tiles + tile) * plane + at + i) : 0.f;
        __syncthreads();
        if (wide && w.rows == TILE) {
            load_tile<true>(s, p, w);
        } else {
            load_tile<false>(s, p, w);
        }
        __syncthreads();
        if (tile > first) {
            prefetch_tile(p, w);
            if (d < p.D) prefetch(p.states + (b * tiles + tile - 1) * plane + at);
        }

        for (int sub = 0;; sub++) {
#pragma unroll
            for (int i = 0; i < SPT; i += 4) s.states[sub][i / 4][tid] = make_float4(h[i], h[i + 1], h[i + 2], h[i + 3]);
            if (sub == SUBS - 1) break;
#pragma unroll
            for (int j = 0; j < SUB; j++) {
                const int t = sub * SUB + j;
                const float2 v = *(const float2 *) &s.v[t][slot];
                float Bv[SPT];
                read4(Bv, &s.b[t][n0]);
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    float a = fast_exp2(v.x * A2[i]);
                    if (RESETS) a *= s.open[t];
                    h[i] = a * h[i] + v.y * Bv[i];
                }
            }
        }

#pragma unroll 1
        for (int sub = SUBS - 1; sub >= 0; sub--) {
            float h0[SPT], H[SUB][SPT], a[SUB][SPT], y[SUB];
#pragma unroll
            for (int i = 0; i < SPT; i += 4) *(float4 *) (h0 + i) = s.states[sub][i / 4][tid];
#pragma unroll
            for (int j = 0; j < SUB; j++) {
                const int t = sub * SUB + j;
                const float2 v = *(const float2 *) &s.v[t][slot];
                float Bv[SPT], Cv[SPT];
                read4(Bv, &s.b[t][n0]);
                read4(Cv, &s.c[t][n0]);
                y[j] = 0.f;
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    a[j][i] = fast_exp2(v.x * A2[i]);
                    if (RESETS) a[j][i] *= s.open[t];
                    H[j][i] = a[j][i] * (j ? H[j - 1][i] : h0[i]) + v.y * Bv[i];
                    y[j] += Cv[i] * H[j][i];
                }
                if (j % 4 == 3) lane_sums<STATE_LANE, STATE_LANE * LPC, 4>(y + j - 3, lane);
            }
            float dx[SUB], dd[SUB];                             // d(delta u); sum of q A
#pragma unroll
            for (int j = SUB - 1; j >= 0; j--) {
                const int t = sub * SUB + j;
                const float4 v = s.v[t][slot];
                float Bv[SPT], Cv[SPT], bc[2 * SPT];
                read4(Bv, &s.b[t][n0]);
                read4(Cv, &s.c[t][n0]);
                dx[j] = dd[j] = 0.f;
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    const float gi = g[i] + v.z * Cv[i];
                    bc[i] = gi * v.y;
                    bc[SPT + i] = v.z * H[j][i];
                    dx[j] += gi * Bv[i];
                    g[i] = gi * a[j][i];
                    const float q = g[i] * (j ? H[j - 1][i] : h0[i]);
                    dd[j] += q * A2[i];
                    dA[i] += q * v.x;
                }
#if BY_TENSOR
                const float4 dB = channel_sums(bc, select), dC = channel_sums(bc + SPT, select);
                float *to = s.sums[buffer][warp * 2 + lane / 16][j] + n0;
                if (lane % 4 == 0) *(float4 *) to = dB;
                if (lane % 4 == 1) *(float4 *) (to + NPAD) = dC;
#else
                lane_sums<LPC, 32, 2 * SPT>(bc, lane);
                if (keeps<LPC, 32, 2 * SPT>(lane)) {
#pragma unroll
                    for (int i = 0; i < KEPT_BC; i++) {
                        const int index = kept_index<LPC, 32, 2 * SPT>(lane) + i;
                        s.sums[buffer][warp][j][index / SPT * NPAD + n0 + index % SPT] = bc[i];
                    }
                }
#endif
            }
#pragma unroll
            for (int half = 0; half < SUB; half += 4) {
                lane_sums<STATE_LANE, STATE_LANE * LPC, 4>(dx + half, lane);
                lane_sums<STATE_LANE, STATE_LANE * LPC, 4>(dd + half, lane);
            }
            __syncwarp();
#pragma unroll
            for (int half = 0; half < SUB; half += 4) {
                if (!keeps<STATE_LANE, STATE_LANE * LPC, 4>(lane)) break;
#pragma unroll
                for (int k = 0; k < KEPT; k++) {
                    const int t = sub * SUB + half + kept_index<STATE_LANE, STATE_LANE * LPC, 4>(lane) + k;
                    const float4 v = s.v[t][slot];
                    const float dxt = dx[half + k], slope = softplus_slope(v.x);
                    const float ddelta = (dd[half + k] * LN2 + dxt * v.w) * (p.softplus ? slope : 1.f);
                    // The channel's other lanes have read this step: __syncwarp above.
                    s.v[t][slot] = make_float4(y[half + k] + skip * v.w, dxt * v.x + skip * v.z, ddelta, 0.f);
                    dskip += v.z * v.w;
                    if (t < w.rows) dbias += ddelta;
                }
            }
            __syncthreads();
#pragma unroll
            for (int i = 0; i < ceil_div(SUB * 2 * NPAD, THREADS); i++) {
                const int index = tid + i * THREADS, t = sub * SUB + index / (2 * NPAD);
                if (index < SUB * 2 * NPAD && t < w.rows) {
                    float sum = 0.f;
#pragma unroll
                    for (int k = 0; k < SHARES; k++) sum += (&s.sums[buffer][k][0][0])[index];
                    shares[(w.l + sub * SUB) * 2 * NPAD + index] = sum;
                }
            }
            if (BUFFERS == 1) __syncthreads();
            buffer = (buffer + 1) % BUFFERS;
        }
        if (wide && w.rows == TILE) {
            store_tile<true>(s, p, w);
        } else {
            store_tile<false>(s, p, w);
        }
    }

    lane_sums<STATE_LANE, STATE_LANE * LPC, 1>(&dskip, lane);
    lane_sums<STATE_LANE, STATE_LANE * LPC, 1>(&dbias, lane);
    if (d >= p.D) return;
    const i64 part = b * p.splits + split;
    if (n0 == 0) {
        p.partV[part * 2 * p.D + d] = dskip;
        p.partV[(part * 2 + 1) * p.D + d] = dbias;
    }
#pragma unroll
    for (int i = 0; i < SPT; i++)
        if (n0 + i < STATES) {
            p.partA[part * plane + at + i] = dA[i];
            if (p.dh0 && split == 0) p.dh0[b * plane + at + i] = g[i];
        }
}

// dB and dC from the channel tiles' shares.
extern "C" __global__ __launch_bounds__(256) void selective_scan_sum_bc(const __grid_constant__ ScanParams p) {
    const i64 index = (i64) blockIdx.x * 256 + threadIdx.x, rows = (i64) p.batch * p.L;
    const i64 row = index / (2 * STATES);
    if (row >= rows) return;
    const int which = (int) (index % (2 * STATES)) / STATES, n = (int) (index % STATES);
    const int tiles = ceil_div(p.D, TC);
    const float *from = p.partBC + row * 2 * NPAD + which * NPAD + n;
    float sum = 0.f;
#pragma unroll 8
    for (int i = 0; i < tiles; i++) sum += from[i * rows * 2 * NPAD];
    const i64 b = row / p.L, l = row % p.L;
    if (which) {
        p.dC[b * p.dCB + l * p.dCL + n] = from_float(sum);
    } else {
        p.dB[b * p.dBB + l * p.dBL + n] = from_float(sum);
    }
}

// dA, dD and dbias from the batches' and ranges' shares.
extern "C" __global__ __launch_bounds__(256) void selective_scan_sum_parameters(const __grid_constant__ ScanParams p) {
    const i64 index = (i64) blockIdx.x * 256 + threadIdx.x, plane = (i64) p.D * STATES;
    const bool isA = index < plane;
    const i64 at = isA ? index : index - plane, step = isA ? plane : 2 * (i64) p.D;
    if (!isA && at >= 2 * (i64) p.D) return;
    const float *from = (isA ? p.partA : p.partV) + at;
    const int parts = p.batch * p.splits;
    float sum = 0.f;
#pragma unroll 8
    for (int i = 0; i < parts; i++) sum += from[i * step];
    if (isA) {
        p.dA[at] = sum;
    } else if (at < p.D) {
        if (p.dskip) p.dskip[at] = sum;
    } else if (p.dbias) {
        p.dbias[at - p.D] = sum;
    }
}
