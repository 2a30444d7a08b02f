// Selective scan, backward, by recomputation.
//
// With g[t] the adjoint of h[t] (all states n, channel d), dy the gradient before the gate, a[t,n] = exp(delta A[n]):
//
//   g[t]  = C[t] dy[t] + a[t+1] g[t+1]
//   dC[t] = sum_d dy h[t],   dB[t] = sum_d g[t] delta u,   d(delta u) = sum_n g[t] B[t],
//   q[t]  = g[t] a[t] h[t-1],   ddelta = sum_n q[t] A + d(delta u) u,   dA = sum_t q[t] delta.
//
// Idea. The forward pass saved h before every eight steps, in the activations' type: 2 N / 8 bytes per element and
// bfloat16, which is kept. A block owns TC channels (32 for N = 16) of one range of L and walks its tiles of 32 steps from
// last to first, g in registers; eight steps at a time, h and a are computed again into registers (8 x 4 x 2 of them) and
// the adjoint runs down over them. So every exponential is taken twice, forward included, and 2 N bytes per element are
// neither written nor read. y is not computed again: the gradient of the gate follows from the output (load_tile).
//
// Sums over states go over the four lanes of a channel, four steps at a time. Sums over channels (dB, dC) go over the
// eight channels of a warp through the tensor cores (channel_sums; by shuffles for other N), over the warps through
// shared memory, over blocks through `partBC`, added up by the kernels at the end. There are no atomics: the order of
// every sum is fixed, and results are the same in every run.
//
// Floors (8 x 2048 x 1536, N = 16, bfloat16, H200 at 1.98 GHz): 25.3 instructions per (channel, step, state), 305 us;
// 71 M passes of shared memory, 270 us; 1.6 special functions per (channel, step, state), 150 us; 22 bytes of device memory
// per element, 130 us. What keeps it from the first two: 384 blocks are 2.9 per multiprocessor, 12 warps, and a GPU that
// uses its tensor cores at all runs at 1.78 GHz instead of 1.93.
//
// [1] Gu, Dao: Mamba, 2023, section 3.3.2 (recomputation).
// [2] Griewank, Walther: Algorithm 799: revolve, ACM TOMS 26, 2000 (checkpoints in reverse differentiation).
//
// Launch: selective_scan_backward: grid (ceil(D / TC), splits, batch); TC, block size and bytes of dynamic shared memory
//         are read from selective_scan_backward_geometry in the module (32, 128 and about 56 kB for N = 16);
//         selective_scan_sum_bc: grid (ceil(batch L NPAD / 2 / 256)), block 256;
//         selective_scan_sum_parameters: grid (ceil(D (N + 2) / 256)), block 256.
#include "selective_scan_backward.cuh"

#if BY_TENSOR
// Sums of `weight` times each of four values over each four neighbouring lanes (channels) by a matrix product, D = V S:
// row r of V (and r + 8) holds what the four lanes of group r contribute, two of their values in eight columns; column n
// of S, the weights of the lanes of group n, twice, the second time negative where n is odd. So row r of D has, wherever
// group n is made of the same channels (with the lanes 4 r + q for which q / 2 = r / 4), sums and differences of two values'
// sums: `pair_of` takes them apart, once all that is to be added up is. (Zeros in S in place of signs would leave nothing to
// take apart, but take twice the instructions here.) The tensor cores read 10 bits of mantissa: enough for sums that leave
// as bfloat16; for float32 the products are taken before, and what that cuts off is summed in the same way.
__device__ __forceinline__ float4 product(float4 d, const float *v, float even, float odd) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=f"(d.x), "=f"(d.y), "=f"(d.z), "=f"(d.w)
        : "r"(__float_as_uint(v[0])), "r"(__float_as_uint(v[2])), "r"(__float_as_uint(v[1])), "r"(__float_as_uint(v[3])),
          "r"(__float_as_uint(even)), "r"(__float_as_uint(odd)), "f"(d.x), "f"(d.y), "f"(d.z), "f"(d.w));
    return d;
}

__device__ __forceinline__ float4 channel_sums(const float *v, float weight, u32 sign) {
    const float4 zero = make_float4(0.f, 0.f, 0.f, 0.f);
#if IO_BF16
    return product(zero, v, weight, __uint_as_float(__float_as_uint(weight) ^ sign));
#else
    const float one = __uint_as_float(0x3f800000u ^ sign);
    float whole[4], rest[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        whole[i] = v[i] * weight;
        rest[i] = whole[i] - __uint_as_float(__float_as_uint(whole[i]) & 0xffffe000u);
    }
    return product(product(zero, whole, 1.f, one), rest, 1.f, one);
#endif
}
#endif

// Two neighbouring values of what stands in Shared.sums.
__device__ __forceinline__ float2 pair_of(float2 v) { return BY_TENSOR ? make_float2(.5f * (v.x + v.y), .5f * (v.x - v.y)) : v; }

template <int COUNT>
__device__ __forceinline__ void read4(float (&v)[COUNT], const float *p) {
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) *(float4 *) (v + i) = *(const float4 *) (p + i);
}

#define SUM_LANES(v) lane_sums<STATE_LANE, STATE_LANE * LPC, 4>(v, lane)
#define KEPT_FROM kept_index<STATE_LANE, STATE_LANE * LPC, 4>(lane)
#define KEEPS keeps<STATE_LANE, STATE_LANE * LPC, 4>(lane)

// Stores dz where a gate is shut, with y from the tile's saved states.
__device__ __forceinline__ void store_shut(const Shared &s, const ScanParams &p, const Tile &w, const io_t *states, int valid,
                                           const float (&A2)[SPT], float skip, int slot, int d, int n0, int lane) {
#pragma unroll 1
    for (int sub = 0; sub < SUBS; sub++, states += (i64) p.D * STATES) {
        float h[SPT];
        unpack(load<SPT>(states, valid, STATES % SPT == 0), h);
#pragma unroll 1
        for (int from = sub * SUB; from < sub * SUB + SUB; from += 4) {
            float y[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int t = from + j;
                const float2 v = s.input[t][slot];
                y[j] = 0.f;
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    const float a = fast_exp2(v.x * A2[i]);
                    h[i] = a * found(h[i], s.begins, t) + v.y * s.b[t][n0 + i];
                    y[j] += s.c[t][n0 + i] * h[i];
                }
            }
            SUM_LANES(y);
#pragma unroll
            for (int k = 0; k < KEPT; k++) {
                const int t = from + KEPT_FROM + k;
                if (!KEEPS || t >= w.rows || d >= p.D) continue;
                const i64 l = w.l + t;
                if (fabsf(to_float(p.z[w.b * p.zB + l * p.zL + d])) < NO_GATE) {
                    const float dout = to_float(p.dout[w.b * p.doutB + l * p.doutL + d]);
                    p.dz[w.b * p.dzB + l * p.dzL + d] = from_float(.5f * dout * (y[k] + skip * s.dy[t][slot].y));
                }
            }
        }
    }
    __syncthreads();
}

extern "C" __global__ __launch_bounds__(THREADS, LPC <= 4 ? RESIDENT_THREADS / THREADS : 1) void
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
    const int states = d < p.D ? STATES - n0 : 0;

    float A2[SPT], g[SPT], dA[SPT], dskip = 0.f, dbias = 0.f;       // g is a[t+1] g[t+1]
    const float *edge = p.splits > 1 ? p.ends + (b * p.splits + split) * plane : p.dhLast ? p.dhLast + b * plane : nullptr;
    const float skip = p.skip && d < p.D ? p.skip[d] : 0.f;
#pragma unroll
    for (int i = 0; i < SPT; i++) {
        A2[i] = i < states ? p.A[at + i] * LOG2E : 0.f;
        g[i] = i < states && edge ? edge[at + i] : 0.f;
        dA[i] = 0.f;
    }
    for (int i = tid; i < TILE * NPAD; i += THREADS) (&s.b[0][0])[i] = (&s.c[0][0])[i] = 0.f;
    for (int i = tid; i < SLOTS; i += THREADS) s.bias[i] = p.bias && c0 + i < p.D ? p.bias[c0 + i] : 0.f;

    const bool wide = TILE * GROUPS % THREADS == 0 && all_wide(p, c0, TC);
    // The saved state that is fetched next: a tile's worth of them is ahead.
    const io_t *saved = p.states + (b * tiles + last) * SUBS * plane + at;
    for (int sub = SUBS - 1; sub >= 0 && last > first; sub--) {
        saved -= plane;
        fetch_state(s.saved[sub][tid], saved, states);
    }
    // Where the block's share of dB and dC goes, two values per thread.
    io_t *shares = p.partBC + (blockIdx.x * (i64) p.batch + b) * p.L * 2 * NPAD + 2 * tid;
#if BY_TENSOR
    const u32 sign = lane & 4 ? 0x80000000u : 0u;
#endif
    int buffer = 0;
    Tile w(p, b, last - 1, c0, tid);
    if (last > first) w.fetch<false>(s, p, (int) min((i64) TILE, p.L - w.l));
    for (i64 tile = last - 1; tile >= first; tile--, w.l -= TILE) {
        w.rows = (int) min((i64) TILE, p.L - w.l);
        await_copies();
        __syncthreads();                                        // all have stored the tile before
        const bool shut = open_tile(s, p, w);
        if (tile > first) {
            if (wide) {
                w.fetch<true>(s, p, TILE);
            } else {
                w.fetch<false>(s, p, TILE);
            }
        }
        if (__syncthreads_or(shut)) {
            store_shut(s, p, w, p.states + (b * tiles + tile) * SUBS * plane + at, states, A2, skip, slot, d, n0, lane);
        }

#pragma unroll 1
        for (int sub = SUBS - 1; sub >= 0; sub--) {
            float h0[SPT], H[SUB][SPT], a[SUB][SPT];
            float2 v[SUB];                                      // (delta, delta u)
            const u32 begins = RESETS ? s.begins >> sub * SUB : 0;
            unpack(s.saved[sub][tid], h0);
            saved -= plane;
            if (tile > first) fetch_state(s.saved[sub][tid], saved, states);
            if (sub * SUB >= w.rows) continue;
#pragma unroll
            for (int j = 0; j < SUB; j++) {
                const int t = sub * SUB + j;
                float Bv[SPT];
                v[j] = s.input[t][slot];
                read4(Bv, &s.b[t][n0]);
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    a[j][i] = fast_exp2(v[j].x * A2[i]);
                    H[j][i] = a[j][i] * found(j ? H[j - 1][i] : h0[i], begins, j) + v[j].y * Bv[i];
                }
            }
            float dx[SUB], dd[SUB];                             // d(delta u); sum of q A
#pragma unroll
            for (int j = SUB - 1; j >= 0; j--) {
                const int t = sub * SUB + j;
                const float dy = s.dy[t][slot].x;
                float Bv[SPT], Cv[SPT], gt[SPT];
                read4(Bv, &s.b[t][n0]);
                read4(Cv, &s.c[t][n0]);
                dx[j] = dd[j] = 0.f;
#pragma unroll
                for (int i = 0; i < SPT; i++) {
                    gt[i] = g[i] + dy * Cv[i];
                    dx[j] += gt[i] * Bv[i];
                    g[i] = found(gt[i] * a[j][i], begins, j);
                    const float q = g[i] * found(j ? H[j - 1][i] : h0[i], begins, j);
                    dd[j] += q * A2[i];
                    dA[i] += q * v[j].x;
                }
#if BY_TENSOR
                const float4 dB = channel_sums(gt, v[j].y, sign), dC = channel_sums(H[j], dy, sign);
                // One store for both: a store of 16 bytes takes four passes of shared memory, however few lanes take part.
                const float4 mine = lane & 1 ? dC : dB;
                store_shared_if(lane / 2 % 2 == lane / 16, &s.sums[buffer][warp * 2 + lane / 16][j][lane % 2 * NPAD + n0], mine);
#else
                float bc[2 * SPT];
#pragma unroll
                for (int i = 0; i < SPT; i++) bc[i] = gt[i] * v[j].y, bc[SPT + i] = dy * H[j][i];
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
                SUM_LANES(dx + half);
                SUM_LANES(dd + half);
            }
            __syncwarp();
#pragma unroll
            for (int half = 0; half < SUB; half += 4) {
                if (!KEEPS) break;
#pragma unroll
                for (int k = 0; k < KEPT; k++) {
                    const int t = sub * SUB + half + KEPT_FROM + k;
                    const float delta = s.input[t][slot].x, dxt = dx[half + k], slope = softplus_slope(delta);
                    const float2 dyu = s.dy[t][slot];
                    const float ddelta = (dd[half + k] * LN2 + dxt * dyu.y) * (p.softplus ? slope : 1.f);
                    // The channel's other lanes have read this step: __syncwarp above.
                    s.input[t][slot] = make_float2(dxt * delta + skip * dyu.x, ddelta);
                    dskip += dyu.x * dyu.y;
                    if (t < w.rows) dbias += ddelta;
                }
            }
            __syncthreads();
            io_t *to = shares + (w.l + sub * SUB) * 2 * NPAD;
#pragma unroll
            for (int i = 0; i < ceil_div(SUB * NPAD, THREADS); i++) {
                const int index = 2 * (tid + i * THREADS), t = sub * SUB + index / (2 * NPAD);
                if (index < SUB * 2 * NPAD && t < w.rows) {
                    float2 sum = make_float2(0.f, 0.f);
#pragma unroll
                    for (int k = 0; k < SHARES; k++) {
                        const float2 share = *(const float2 *) ((&s.sums[buffer][k][0][0]) + index);
                        sum.x += share.x, sum.y += share.y;
                    }
                    sum = pair_of(sum);
#if IO_BF16
                    *(u32 *) (to + i * 2 * THREADS) = pack_share(sum);
#else
                    *(float2 *) (to + i * 2 * THREADS) = sum;
#endif
                }
            }
            if (BUFFERS == 1) __syncthreads();
            buffer = (buffer + 1) % BUFFERS;
        }
        store_tile(s, p, w);
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

// dB and dC from the channel tiles' shares, four values per thread.
extern "C" __global__ __launch_bounds__(256) void selective_scan_sum_bc(const __grid_constant__ ScanParams p) {
    const i64 index = (i64) blockIdx.x * 256 + threadIdx.x, rows = (i64) p.batch * p.L;
    const i64 row = index / (NPAD / 2);
    if (row >= rows) return;
    const int column = (int) (index % (NPAD / 2)) * 4, n = column % NPAD;
    const int tiles = ceil_div(p.D, TC);
    const io_t *from = p.partBC + row * 2 * NPAD + column;
    float sum[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll 8
    for (int i = 0; i < tiles; i++, from += rows * 2 * NPAD) {
        const Packed<4> packed = load<4>(from, 4, true);
#if IO_BF16
        const float2 low = unpack_share(packed.w[0]), high = unpack_share(packed.w[1]);
        sum[0] += low.x, sum[1] += low.y, sum[2] += high.x, sum[3] += high.y;
#else
        float v[4];
        unpack(packed, v);
#pragma unroll
        for (int k = 0; k < 4; k++) sum[k] += v[k];
#endif
    }
    const i64 b = row / p.L, l = row % p.L;
    io_t *to = column < NPAD ? p.dB + b * p.dBB + l * p.dBL : p.dC + b * p.dCB + l * p.dCL;
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (n + k < STATES) to[n + k] = from_float(sum[k]);
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
