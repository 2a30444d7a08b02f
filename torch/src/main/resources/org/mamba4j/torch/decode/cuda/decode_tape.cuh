// What decode_tokens.cu is made of: its sizes and parameters, sums that count, and the tape that its weights come on.
#pragma once
#include "common.cuh"

// Sizes, by the caller: MODEL (d), INNER (D), STATES (N), RANK (R), CONV_W (K), CHANNELS, WARPS, STAGE_BYTES, STAGES.
#define SELECT (RANK + 2 * STATES)                              // outputs of x_proj
#define SELECT_ROW (ceil_div(SELECT, 8) * 8)                    // row of x_proj transposed, padded
#define RANK_ROW (ceil_div(RANK, 8) * 8)                        // row of dt_proj, padded
#define CONV_ROW (ceil_div(CONV_W + 3, 4) * 4)                  // conv weight, conv bias, dt bias, D
#define CHANNEL_ROW (CONV_ROW + ceil_div(STATES, 4) * 4)        // and A, times log2(e)
#define ROW_BYTES (MODEL * (int) sizeof(io_t))
#define STAGE_ROWS (STAGE_BYTES / ROW_BYTES)                    // rows of d that a stage holds
#define THREADS (WARPS * 32)                                    // those that compute
#define COLUMNS ceil_div(MODEL, THREADS)                        // of the residual, per thread
#define CHUNKS ceil_div(MODEL, 256)                             // of 8 elements of a row, per lane
#define WARP_CHANNELS ceil_div(CHANNELS, WARPS)
#define LANE_STATES ceil_div(STATES, 32)
#define SMALL_DT (CHANNELS * SELECT_ROW * (int) sizeof(io_t))
#define SMALL_CHANNEL (SMALL_DT + CHANNELS * RANK_ROW * (int) sizeof(io_t))
#define SMALL_BYTES (SMALL_CHANNEL + CHANNELS * CHANNEL_ROW * 4)

// Where a sum lies: additions to one 128-byte line take their turns, about two clocks each, whichever of its sums they are for.
#ifndef SPREAD
#define SPREAD 64                                   // 64-bit words from one group of sums to the next
#endif
#define SELECT_GROUP 1
#ifndef RESIDUAL_GROUP
#define RESIDUAL_GROUP 4
#endif
#ifndef PAUSE
#define PAUSE 0                                     // nanoseconds between two readings of a sum
#endif
#define SELECT_PLACE(i) ((i) / SELECT_GROUP * SPREAD + (i) % SELECT_GROUP)
#define RESIDUAL_PLACE(i) ((i) / RESIDUAL_GROUP * SPREAD + (i) % RESIDUAL_GROUP)

typedef unsigned long long u64;

struct TokenParams {
    const io_t *embedding, *head;                   // (V,d)
    const io_t *inProj, *xProj, *dtProj, *outProj;  // (layers,2D,d), (layers,D,SELECT_ROW), (layers,D,RANK_ROW), (layers,D,d)
    const float *channel, *norm;                    // (layers,D,CHANNEL_ROW), (layers + 1,d): the last one is norm_f
    float *conv, *h;                                // (layers,D,K-1), (layers,D,N): read and written
    u64 *selectSums, *residualSums, *best;          // spread: (SELECT), (d); (blocks)
    int *tokens;                                    // tokens[0] is read first; tokens[i + 1] is what follows the i-th
    int *result;                                    // how many steps were done; whether a number was out of range
    float *hidden, *logits;                         // (d) after the last step; (V), may be null
    const int *stop;                                // (stops): ends after the step that chooses one of them
    i64 convLayer, hLayer;                          // elements between layers
    int layers, vocab, steps, epoch, stops, choose; // epoch: number of the first step; choose: see below
    float epsilon;
};

constexpr int CHANNELS_AT_ONCE = min_of(CHANNELS, 16), ROWS_AT_ONCE = min_of(STAGE_ROWS, 12); // unrolled

#define GREEDY 1                                    // choose: read the most likely token next; 0: tokens[1 ...] are given,
#define LOGITS 2                                    // 2: a single step, only its logits

#define UNIT 1073741824.f

static_assert(SELECT <= THREADS, "a thread per output of x_proj");
static_assert(SMALL_BYTES <= STAGE_BYTES && STAGE_ROWS >= 1, "a stage holds the small weights of a layer, and a row");

__device__ __forceinline__ u32 shared_address(const void *p) { return (u32) __cvta_generic_to_shared(p); }

__device__ __forceinline__ bool passed(u32 barrier, u32 parity) {
    u32 done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
    return done;
}

// All computing threads, not the copying warp.
__device__ __forceinline__ void meet() { asm volatile("bar.sync 1, %0;" ::"n"(THREADS) : "memory"); }

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int i = 16; i; i /= 2) v += __shfl_xor_sync(0xffffffffu, v, i);
    return v;
}

__device__ __forceinline__ u64 look(const u64 *p) {
    u64 v;
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(v) : "l"(p) : "memory");
    return v;
}

// A number as it is added up, without the count.
__device__ __forceinline__ u64 fixed(float v, int *result) {
    if (!(fabsf(v) < 16777216.f)) {
        result[1] = 1;
        v = 0.f;
    }
    return (u64) __float2ll_rn(v * UNIT) << 8;
}

__device__ __forceinline__ void add_share(u64 *sum, float v, int *result) {
    const u64 share = fixed(v, result) + 1;
    asm volatile("red.relaxed.gpu.global.add.u64 [%0], %1;" ::"l"(sum), "l"(share) : "memory");
}

// Waits for all shares since the sum was `seen`.
__device__ __forceinline__ u64 complete(const u64 *sum, u64 seen, int shares) {
    u64 now = look(sum);
    while ((u8) (now - seen) != (u8) shares) {
        if (PAUSE) __nanosleep(PAUSE);
        now = look(sum);
    }
    return now;
}

// The value of `shares` shares that make up the difference between two readings.
__device__ __forceinline__ float value(u64 difference, int shares) {
    return (float) ((i64) (difference - (u64) shares) >> 8) * (1.f / UNIT);
}

// Eight neighbouring weights in shared memory.
__device__ __forceinline__ void weights8(const u8 *p, float (&v)[8]) {
    Packed8 r;
#pragma unroll
    for (int i = 0; i < (int) sizeof(r) / 16; i++) *(uint4 *) (r.w + 4 * i) = ((const uint4 *) p)[i];
    unpack(r, v);
}

// ---- the tape --------------------------------------------------------------------------------------------------------

struct Ring {
    u32 data, full, empty;                          // shared addresses
    u32 n;                                          // stages used so far

    __device__ u32 slot() const { return n % STAGES; }
    __device__ u32 lap() const { return n / STAGES; }
};

// The copying thread's side.
struct Writer : Ring {
    const volatile int *over;

    // Waits for a free stage; false when the others have stopped.
    __device__ bool open(u32 bytes) {
        if (n >= STAGES)
            while (!passed(empty + 8 * slot(), (lap() - 1) & 1))
                if (*over) return false;
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full + 8 * slot()), "r"(bytes) : "memory");
        return true;
    }

    __device__ void copy(u32 offset, const void *from, u32 bytes) {
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         data + slot() * STAGE_BYTES + offset),
                     "l"(from), "r"(bytes), "r"(full + 8 * slot())
                     : "memory");
    }

    // `rows` rows of d, as many stages as they need.
    __device__ bool rows(const io_t *from, int count) {
        for (int r = 0; r < count; r += STAGE_ROWS, n++) {
            const u32 bytes = min(STAGE_ROWS, count - r) * ROW_BYTES;
            if (!open(bytes)) return false;
            copy(0, from + (i64) r * MODEL, bytes);
        }
        return true;
    }

    __device__ bool small(const TokenParams &p, i64 channel, int valid) {
        const u32 select = valid * SELECT_ROW * sizeof(io_t), dt = valid * RANK_ROW * sizeof(io_t), rest = valid * CHANNEL_ROW * 4;
        if (!open(select + dt + rest)) return false;
        if (valid > 0) {
            copy(0, p.xProj + channel * SELECT_ROW, select);
            copy(SMALL_DT, p.dtProj + channel * RANK_ROW, dt);
            copy(SMALL_CHANNEL, p.channel + channel * CHANNEL_ROW, rest);
        }
        n++;
        return true;
    }

    __device__ void play(const TokenParams &p, int first, int valid, int row, int rows_) {
        for (int step = 0; step < p.steps; step++) {
            for (int layer = 0; layer < p.layers; layer++) {
                const i64 channel = (i64) layer * INNER + first;
                const io_t *in = p.inProj + (channel + (i64) layer * INNER) * MODEL;
                for (int r = 0; r < valid; r += STAGE_ROWS) {
                    const int count = min(STAGE_ROWS, valid - r);
                    if (!rows(in + (i64) r * MODEL, count) || !rows(in + (i64) (INNER + r) * MODEL, count)) return;
                }
                if (!small(p, channel, valid)) return;
                if (!rows(p.outProj + channel * MODEL, valid)) return;
            }
            if (p.choose && !rows(p.head + (i64) row * MODEL, rows_)) return;
        }
    }

    // A block must not end while copies are on their way to its shared memory.
    __device__ void finish() {
        const u32 last = n;
        for (n = last > STAGES ? last - STAGES : 0; n < last; n++)
            while (!passed(full + 8 * slot(), lap() & 1)) {}
    }
};

// The computing warps' side.
struct Reader : Ring {
    const u8 *stages;

    // The next stage, or one after it.
    __device__ const u8 *open(int ahead = 0) {
        const u32 which = (n + ahead) % STAGES;
        while (!passed(full + 8 * which, (n + ahead) / STAGES & 1)) {}
        return stages + which * STAGE_BYTES;
    }

    __device__ void close(int lane) {
        __syncwarp();
        if (lane == 0) asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(empty + 8 * slot()) : "memory");
        n++;
    }
};
