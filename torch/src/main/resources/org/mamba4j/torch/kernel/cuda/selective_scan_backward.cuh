// Selective scan, backward: the layout of a block and how its tiles come in and go out; see selective_scan_backward.cu.
#pragma once
#include "selective_scan.cuh"

#define THREADS (LPC == 1 ? 64 : LPC <= 4 ? 128 : 256)
#define WARPS (THREADS / 32)
#define TC (CW * WARPS)
#define GROUPS ceil_div(TC, 8)
#define VPT ceil_div(TILE * GROUPS, THREADS)
#define BV ceil_div(STATES, 8)
#define VBC ceil_div(2 * TILE * BV, THREADS)
#define SUB SAVE
#define SUBS (TILE / SUB)
#define KEPT at_least_one(4 / LPC)                  // of four steps' sums over states, those that one lane keeps
#define KEPT_BC at_least_one(2 * SPT / CW)          // of a step's sums over a warp's channels, those that one lane keeps
#define BUFFERS (NPAD > 128 ? 1 : 2)
#define SLOTS (GROUPS * 8)
#define RESIDENT_THREADS 384                        // per multiprocessor, to aim at: more would leave too few registers
#define NO_GATE 1e-18f                              // |z| below which out says nothing of y

// Four lanes per channel (N = 9..16): sums over channels go through the tensor cores, see channel_sums; the four lanes
// that one of its products sums over are neighbours there.
#define BY_TENSOR (STATES > 8 && STATES <= 16)
#define SHARES (BY_TENSOR ? 2 * WARPS : WARPS)      // sums over channels that a block still has to add up

#define PITCH (SLOTS + GROUPS)

// Channel 8 g + k of the tile is at k GROUPS + g of each row ("slot"): threads that load eight channels each then write
// neighbouring words. Rows are a little longer than that, so that lanes at four different steps hit other banks.
struct Shared {
    float2 input[TILE][PITCH];                      // (delta, delta u), then, steps done, (du, ddelta)
    float2 dy[TILE][PITCH];                         // (dy, u)
    float b[TILE][NPAD], c[TILE][NPAD];
    float sums[BUFFERS][SHARES][SUB][2 * NPAD];     // dB, dC summed over some of the channels
    Packed8 coming[5 * VPT + VBC][THREADS];         // what each thread loads of the next tile: u, delta, dout, z, out; B, C
    Packed<SPT> saved[SUBS][THREADS];               // each thread's state before each SUB steps
    u32 begins;                                     // which steps of the tile begin a document
    float bias[SLOTS];
};

// Begins to bring a saved state, of which the thread has `valid` values.
__device__ __forceinline__ void fetch_state(Packed<SPT> &to, const io_t *from, int valid) {
    if (STATES % SPT == 0 && valid > 0) {
        begin_copy(to, from);
    } else {
        to = load<SPT>(from, valid, false);
    }
}

// For the host, as for the forward pass.
extern "C" __device__ int selective_scan_backward_geometry[6] = {TC, THREADS, sizeof(Shared), TILE, NPAD, SAVE};

// A tile of the block's channels, and where a thread's part of it is: eight channels of each of VPT rows of the (.,L,D)
// tensors, eight values of VBC rows of B and C. The pointers move with the tiles, from last to first, since finding the
// addresses anew would cost a fifth of a tile's instructions.
struct Tile {
    i64 b, l;
    int rows, c0, tid;
    const io_t *u, *delta, *dout, *z, *out, *bc[VBC];
    io_t *du, *ddelta, *dz;

    __device__ __forceinline__ Tile(const ScanParams &p, i64 b, i64 tile, int c0, int tid) : b(b), l(tile * TILE), c0(c0), tid(tid) {
        const i64 t = l + row(0), c = c0 + column();
        u = p.u + b * p.uB + t * p.uL + c;
        delta = p.delta + b * p.deltaB + t * p.deltaL + c;
        dout = p.dout + b * p.doutB + t * p.doutL + c;
        z = p.z + b * p.zB + t * p.zL + c;
        out = p.out + b * p.outB + t * p.outL + c;
        du = p.du + b * p.duB + t * p.duL + c;
        ddelta = p.ddelta + b * p.ddeltaB + t * p.ddeltaL + c;
        dz = p.dz + b * p.dzB + t * p.dzL + c;
#pragma unroll
        for (int i = 0; i < VBC; i++)
            bc[i] = rowBC(i) % BV * 8 + (isC(i) ? p.C + b * p.cB + (l + rowBC(i) / BV) * p.cL : p.B + b * p.bB + (l + rowBC(i) / BV) * p.bL);
    }

    __device__ __forceinline__ int row(int i) const { return tid / GROUPS + i * (THREADS / GROUPS); }

    __device__ __forceinline__ int column() const { return tid % GROUPS * 8; }

    __device__ __forceinline__ int valid(int i, int channels) const {
        return row(i) < rows ? min(TC - column(), channels - c0 - column()) : 0;
    }

    __device__ __forceinline__ bool isC(int i) const { return tid + i * THREADS >= TILE * BV; }

    __device__ __forceinline__ int rowBC(int i) const { return (tid + i * THREADS) % (TILE * BV); }

    // Begins to bring a tile to Shared.coming, and moves to the tile before.
    template <bool WHOLE>
    __device__ __forceinline__ void fetch(Shared &s, const ScanParams &p, int rows) {
#pragma unroll
        for (int i = 0; i < VPT; i++) {
            const int valid = row(i) < rows ? min(TC - column(), p.D - c0 - column()) : 0;
            take<WHOLE>(s.coming[5 * i][tid], u, p.uL, i, valid, p.aligned & 1);
            take<WHOLE>(s.coming[5 * i + 1][tid], delta, p.deltaL, i, valid, p.aligned & 1);
            take<WHOLE>(s.coming[5 * i + 2][tid], dout, p.doutL, i, valid, p.aligned & 1);
            if (!p.z) continue;
            take<WHOLE>(s.coming[5 * i + 3][tid], z, p.zL, i, valid, p.aligned & 1);
            take<WHOLE>(s.coming[5 * i + 4][tid], out, p.outL, i, valid, p.aligned & 1);
        }
#pragma unroll
        for (int i = 0; i < VBC; i++) {
            if (tid + i * THREADS >= 2 * TILE * BV) break;
            const int valid = rowBC(i) / BV < rows ? STATES - rowBC(i) % BV * 8 : 0;
            copy<WHOLE>(s.coming[5 * VPT + i][tid], bc[i], valid, p.aligned & 2);
            bc[i] -= TILE * (isC(i) ? p.cL : p.bL);
        }
    }

    template <bool WHOLE>
    __device__ __forceinline__ void take(Packed8 &to, const io_t *&from, i64 rowStride, int i, int valid, bool aligned) const {
        copy<WHOLE>(to, from + i * (THREADS / GROUPS) * rowStride, valid, aligned);
        if (i == VPT - 1) from -= TILE * rowStride;
    }

    template <bool WHOLE>
    __device__ __forceinline__ void copy(Packed8 &to, const io_t *from, int valid, bool aligned) const {
        if constexpr (WHOLE) {
            begin_copy(to, from);
        } else {
            to = load8(from, valid, aligned);
        }
    }

    __device__ __forceinline__ void put(io_t *&p, i64 rowStride, int i, const float (&v)[8], int valid, bool aligned) const {
        store8(p + i * (THREADS / GROUPS) * rowStride, v, valid, aligned);
        if (i == VPT - 1) p -= TILE * rowStride;
    }
};

// Makes a tile of what has come, and stores dz on the way: dz = dout y silu'(z) and out = y silu(z), so that
// dz = dout out (1/z + 1 - sigmoid(z)), and y need not be computed again. Where z is 0 nothing of y is left in out; whether
// one of the thread's gates is shut in this way is returned.
__device__ __forceinline__ bool open_tile(Shared &s, const ScanParams &p, Tile &w) {
    bool shut = false;
#pragma unroll
    for (int i = 0; i < VPT; i++) {
        const int row = w.row(i), column = w.column(), valid = w.valid(i, p.D);
        float u[8], delta[8], dy[8];
        unpack(s.coming[5 * i + 2][w.tid], dy);
        if (p.z) {
            float z[8], dz[8];
            unpack(s.coming[5 * i + 3][w.tid], z);
            unpack(s.coming[5 * i + 4][w.tid], dz);
#pragma unroll
            for (int k = 0; k < 8; k++) {
                const float gate = sigmoid(z[k]);
                shut |= k < valid && fabsf(z[k]) < NO_GATE;
                dz[k] *= dy[k] * (fast_rcp(z[k]) + 1.f - gate);
                dy[k] *= z[k] * gate;
            }
            w.put(w.dz, p.dzL, i, dz, valid, p.aligned & 1);
        }
        unpack(s.coming[5 * i][w.tid], u);
        unpack(s.coming[5 * i + 1][w.tid], delta);
        step_sizes(delta, s.bias + column, row < w.rows, p.softplus);
        if (row < TILE) {
#pragma unroll
            for (int k = 0; k < 8; k++) {
                s.input[row][k * GROUPS + column / 8] = make_float2(delta[k], delta[k] * u[k]);
                s.dy[row][k * GROUPS + column / 8] = make_float2(dy[k], u[k]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < VBC; i++) {
        if (w.tid + i * THREADS >= 2 * TILE * BV) break;
        const int n = w.rowBC(i) % BV * 8;
        float v[8], *to = (w.isC(i) ? s.c : s.b)[w.rowBC(i) / BV] + n;
        unpack(s.coming[5 * VPT + i][w.tid], v);
#pragma unroll
        for (int k = 0; k < 8; k++)
            if (n + k < STATES) to[k] = v[k];
    }
    if (RESETS && w.tid < 32) {
        const u32 bits = beginnings(p, w.b, w.l, w.rows, w.tid);
        if (w.tid == 0) s.begins = bits;
    }
    return shut;
}

__device__ __forceinline__ void store_tile(const Shared &s, const ScanParams &p, Tile &w) {
#pragma unroll
    for (int i = 0; i < VPT; i++) {
        const int row = min(w.row(i), TILE - 1), valid = w.valid(i, p.D);
        float du[8], dd[8];
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const float2 v = s.input[row][k * GROUPS + w.column() / 8];
            du[k] = v.x, dd[k] = v.y;
        }
        w.put(w.du, p.duL, i, du, valid, p.aligned & 1);
        w.put(w.ddelta, p.ddeltaL, i, dd, valid, p.aligned & 1);
    }
}

// A block's share of two neighbouring sums over channels, in the place of two activations. As bfloat16, 48 shares would put
// the sum off by 2^-9 of its usual size, too much where it happens to be near 0. So bits 0..7 are an exponent for both, e + 127,
// and bits 8..19 and 20..31 both as multiples of 2^(e - 10), rounded to nearest: up to three bits more than bfloat16 has.
#define SHRINK (2047.f / 2048.f)                    // keeps what is rounded up within 12 bits

__device__ __forceinline__ u32 pack_share(float2 v) {
    // The sum of both has the larger one's exponent or one more, and is bad if one of them is.
    const u32 exponent = max(__float_as_uint(fabsf(v.x) + fabsf(v.y)) & 0x7f800000u, 11u << 23);
    const float scale = __uint_as_float((263u << 23 | 0x7fe000u) - exponent);              // SHRINK 2^(10 - e)
    // Added to 1.5 2^23, a number of few bits is an integer in the lowest ones.
    const u32 x = __float_as_uint(__fmaf_rn(v.x, scale, 12582912.f)), y = __float_as_uint(__fmaf_rn(v.y, scale, 12582912.f));
    return (y << 20) + ((x & 0xfffu) << 8) + (exponent >> 23);
}

__device__ __forceinline__ float2 unpack_share(u32 w) {
    const u32 exponent = w & 0xffu;
    const float scale = exponent == 255 ? __uint_as_float(0x7fffffffu) : (1.f / SHRINK) * __uint_as_float((exponent - 10) << 23);
    return make_float2((float) ((int) (w << 12) >> 20) * scale, (float) ((int) w >> 20) * scale);
}
