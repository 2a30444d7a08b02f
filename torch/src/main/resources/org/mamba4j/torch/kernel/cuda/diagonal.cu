// The diagonal scan: A real or complex, B and C each of the token or of the channel, float32, forward and backward.
//
//   h[t,d,m] = exp(delta[t,d] A[d,m]) h[t-1,d,m] + delta[t,d] u[t,d] B[m]        B, C: [t,m] of the token or [d,m] of the channel
//   y[t,d]   = W Re sum_m C[m] h[t,d,m]                                           W: 1, or 2 where A is complex
//
// and backward, with dh the gradient of the state (* is the conjugate) and k what of it reaches the state before,
//
//   dh[t] = W dy[t] C* + k[t+1],   k[t] = decay[t]* dh[t],   e[t] = dh[t] (decay[t] h[t-1])*,   w[t] = sum_m Re(dh[t] B*)
//   du = w delta,   ddelta = sum_m Re(e A*) + w u,   dA = sum e delta,   dB = sum dh delta u,   dC = sum W dy h*.
//
// Idea. The sequence is cut into chunks of CHUNK steps. diagonal_ends scans each as if it started from nothing;
// diagonal_carry goes over the chunks' ends, decayed by exp(A times the chunk's sum of delta), and leaves what entered
// each chunk in their place; diagonal_scan steps through the chunks once more from there and reads. Backward the same three
// from the end, in k: the last, diagonal_back, goes through its chunk forward, keeping the state before each tile, and then
// through the tiles from the last to the first, each forward into registers and then back.
//
// The lanes of a warp are neighbouring channels, so that u, delta and y are read and written 128 bytes at a time; its
// threads hold PER modes of their channel, and the warps of a block the groups of modes that are left, whose shares of a sum over modes
// are added up in shared memory. Sums over channels (dB and dC of the token) are made within a warp and left as one part for each block of
// 32 channels, sums over steps (dA, dB and dC of the channel) as one part for each chunk: the caller adds the parts up. No atomics:
// the same call gives the same bits.
//
// Steps behind the end have delta = u = dy = 0 and change nothing, nor do modes or channels that are not there: all theirs is 0.
//
// Macros: MODES (M, 1..64), COMPLEX (numbers are pairs, N = 2 M), B_TOKEN, C_TOKEN (1: (B,L,N), 0: (D,N)).
// Launch: diagonal_carry and diagonal_back_carry: grid ceil(B D M / 256), block 256; all others: grid (blocks * chunks, B), block
// diagonal_geometry's threads. All tensors contiguous.
#include "common.cuh"

#ifndef MODES
#define MODES 16
#endif
#ifndef COMPLEX
#define COMPLEX 0
#endif
#ifndef B_TOKEN
#define B_TOKEN 1
#endif
#ifndef C_TOKEN
#define C_TOKEN 0
#endif

constexpr int W = COMPLEX ? 2 : 1;                  // floats of a number; and how often a mode counts
constexpr int N = MODES * W;
constexpr int PER = MODES == 1 ? 1 : MODES == 2 ? 2 : 4;   // modes of a thread: a power of two
constexpr int GROUPS = ceil_div(MODES, PER);
constexpr int LANES = 32;
constexpr int THREADS = LANES * GROUPS;
constexpr int CHUNK = 64;                           // steps
constexpr int STEPS = COMPLEX && MODES > 8 ? 2 : 4;    // of a tile: few, since diagonal_back holds their states in registers
constexpr int TILES = CHUNK / STEPS;
constexpr int CARRY_THREADS = 256;
constexpr int BACK_THREADS = COMPLEX || (B_TOKEN && C_TOKEN) ? 384 : 512;   // of diagonal_back on a multiprocessor, as registers allow
constexpr int AHEAD = 8;                            // chunks whose ends are asked for at once
constexpr int TOKEN_SUMS = (B_TOKEN + C_TOKEN) * PER * W;
static_assert(MODES >= 1 && MODES <= 64, "1 to 64 modes");

struct DiagonalParams {
    const float *u, *delta;                         // (B,L,D)
    const float *rate, *frequency;                  // (D,M); frequency only where COMPLEX
    const float *b, *c;                             // (B,L,N) or (D,N)
    const float *start;                             // (B,D,N), may be null
    float *y;                                       // (B,L,D)
    float *last;                                    // (B,D,N)
    float *sums;                                    // (B,chunks,D): of delta
    float *ends;                                    // (B,chunks,D,N): ends of chunks, by carry: what enters them
    const float *dy;                                // (B,L,D), backward only from here
    float *back;                                    // (B,chunks,D,N): ends for k
    float *du, *ddelta;                             // (B,L,D), each may be null, as all below
    float *da;                                      // (B,chunks,D,N): parts
    float *db, *dc;                                 // parts: of the token (blocks,B,L,N), of the channel (B,chunks,D,N)
    float *dstart;                                  // (B,D,N)
    i64 L;
    int B, D, chunks;
    int blocks;                                     // of 32 channels
};

extern "C" __device__ int diagonal_geometry[3] = {THREADS, CHUNK, CARRY_THREADS};

// ---- numbers ---------------------------------------------------------------------------------------------------------

struct Num {
    float re;
#if COMPLEX
    float im;
#endif
};

#if COMPLEX
__device__ __forceinline__ Num scaled(float s, Num a) { return {s * a.re, s * a.im}; }
__device__ __forceinline__ Num plus(Num a, Num b) { return {a.re + b.re, a.im + b.im}; }
__device__ __forceinline__ Num conjugate(Num a) { return {a.re, -a.im}; }
__device__ __forceinline__ Num times(Num a, Num b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
__device__ __forceinline__ float real_of_product(Num a, Num b) { return a.re * b.re - a.im * b.im; }
__device__ __forceinline__ Num get(const float *p) { return {p[0], p[1]}; }
__device__ __forceinline__ void set(float *p, Num a) { p[0] = a.re, p[1] = a.im; }

// exp(s a). The angle in half turns, so that its reduction is exact.
__device__ __forceinline__ Num decay(Num a, float s) {
    const float size = exp2f(LOG2E * (s * a.re));
    float sine, cosine;
    sincospif(.31830989f * (s * a.im), &sine, &cosine);
    return {size * cosine, size * sine};
}
#else
__device__ __forceinline__ Num scaled(float s, Num a) { return {s * a.re}; }
__device__ __forceinline__ Num plus(Num a, Num b) { return {a.re + b.re}; }
__device__ __forceinline__ Num conjugate(Num a) { return a; }
__device__ __forceinline__ Num times(Num a, Num b) { return {a.re * b.re}; }
__device__ __forceinline__ float real_of_product(Num a, Num b) { return a.re * b.re; }
__device__ __forceinline__ Num get(const float *p) { return {p[0]}; }
__device__ __forceinline__ void set(float *p, Num a) { p[0] = a.re; }
__device__ __forceinline__ Num decay(Num a, float s) { return {exp2f(LOG2E * (s * a.re))}; }
#endif

__device__ __forceinline__ Num nothing() { return scaled(0.f, Num{}); }

// ---- a thread's place ------------------------------------------------------------------------------------------------

struct Place {
    int lane, group, block, chunk, batch, channel, mode;   // mode: the first of the thread's
    bool there;                                     // whether there is such a channel
    i64 first;                                      // step of the chunk
    int tiles;                                      // of the chunk that have steps
};

__device__ __forceinline__ Place place(const DiagonalParams &p) {
    Place at;
    at.lane = threadIdx.x % LANES;
    at.group = threadIdx.x / LANES;
    at.block = blockIdx.x % p.blocks;
    at.chunk = blockIdx.x / p.blocks;
    at.batch = blockIdx.y;
    at.channel = at.block * LANES + at.lane;
    at.mode = at.group * PER;
    at.there = at.channel < p.D;
    at.first = (i64) at.chunk * CHUNK;
    const i64 left = p.L - at.first;
    at.tiles = left >= CHUNK ? TILES : ceil_div((int) left, STEPS);
    return at;
}

__device__ __forceinline__ bool has(const Place &at, int m) { return MODES % PER == 0 || at.mode + m < MODES; }

// x[t] of the channel; 0 where there is none.
__device__ __forceinline__ float step_of(const DiagonalParams &p, const Place &at, const float *x, i64 t) {
    return at.there && t < p.L ? __ldg(x + ((i64) at.batch * p.L + t) * p.D + at.channel) : 0.f;
}

__device__ __forceinline__ void put_step(const DiagonalParams &p, const Place &at, float *x, i64 t, float value) {
    if (x && at.there && t < p.L) x[((i64) at.batch * p.L + t) * p.D + at.channel] = value;
}

// Where the thread's numbers begin in rows (B,chunks,D,N).
__device__ __forceinline__ i64 of_chunk(const DiagonalParams &p, const Place &at) {
    return (((i64) at.batch * p.chunks + at.chunk) * p.D + at.channel) * N + at.mode * W;
}

__device__ __forceinline__ void get_all(const Place &at, const float *from, Num (&to)[PER]) {
#pragma unroll
    for (int m = 0; m < PER; m++) to[m] = at.there && has(at, m) ? get(from + m * W) : nothing();
}

__device__ __forceinline__ void put_all(const Place &at, float *to, const Num (&from)[PER]) {
#pragma unroll
    for (int m = 0; m < PER; m++)
        if (at.there && has(at, m)) set(to + m * W, from[m]);
}

__device__ __forceinline__ Num rate_of(const DiagonalParams &p, i64 i) {
#if COMPLEX
    return {p.rate[i], p.frequency[i]};
#else
    return {p.rate[i]};
#endif
}

__device__ __forceinline__ void get_rates(const DiagonalParams &p, const Place &at, Num (&a)[PER]) {
#pragma unroll
    for (int m = 0; m < PER; m++) a[m] = at.there && has(at, m) ? rate_of(p, (i64) at.channel * MODES + at.mode + m) : nothing();
}

// B or C: TOKEN: read at each step, the same for all lanes; else read once.
template <bool TOKEN>
struct Matrix {
    const float *x;
    Num ofChannel[PER];

    __device__ __forceinline__ Matrix(const Place &at, const float *from) : x(from) {
        if constexpr (!TOKEN) get_all(at, x + (i64) at.channel * N + at.mode * W, ofChannel);
    }

    __device__ __forceinline__ void read(const DiagonalParams &p, const Place &at, i64 t, Num (&to)[PER]) const {
        if constexpr (TOKEN) {
            const float *row = x + ((i64) at.batch * p.L + t) * N + at.mode * W;
            const bool is = t < p.L;
#pragma unroll
            for (int m = 0; m < PER; m++) {
                to[m] = nothing();
                if (is && has(at, m)) {
                    to[m].re = __ldg(row + m * W);
#if COMPLEX
                    to[m].im = __ldg(row + m * W + 1);
#endif
                }
            }
        } else {
#pragma unroll
            for (int m = 0; m < PER; m++) to[m] = ofChannel[m];
        }
    }
};

typedef Matrix<B_TOKEN> MatrixB;
typedef Matrix<C_TOKEN> MatrixC;

// The states after the STEPS steps from t on.
__device__ __forceinline__ void advance(const DiagonalParams &p, const Place &at, const Num (&a)[PER], const MatrixB &matrix, i64 t,
                                        Num (&h)[PER], float &sum) {
    float dt[STEPS], u[STEPS];
#pragma unroll
    for (int q = 0; q < STEPS; q++) dt[q] = step_of(p, at, p.delta, t + q), u[q] = step_of(p, at, p.u, t + q);
#pragma unroll
    for (int q = 0; q < STEPS; q++) {
        Num b[PER];
        matrix.read(p, at, t + q, b);
#pragma unroll
        for (int m = 0; m < PER; m++) h[m] = plus(times(decay(a[m], dt[q]), h[m]), scaled(dt[q] * u[q], b[m]));
        sum += dt[q];
    }
}

// ---- over the chunks -------------------------------------------------------------------------------------------------

// BACK: from the last to the first, with conjugate decays.
template <bool BACK>
__device__ __forceinline__ void carry(const DiagonalParams &p) {
    const i64 i = (i64) blockIdx.x * CARRY_THREADS + threadIdx.x;     // of (B,D,M)
    if (i >= (i64) p.B * p.D * MODES) return;
    const i64 batch = i / ((i64) p.D * MODES), ofBatch = i % ((i64) p.D * MODES);
    const Num a = rate_of(p, ofBatch);
    float *ends = (BACK ? p.back : p.ends) + batch * p.chunks * p.D * N + ofBatch * W;
    const float *sums = p.sums + batch * p.chunks * p.D + ofBatch / MODES;
    const i64 stride = (i64) p.D * N;
    Num h = !BACK && p.start ? get(p.start + i * W) : nothing();
    for (int from = 0; from < p.chunks; from += AHEAD) {
        Num end[AHEAD];
        float sum[AHEAD];
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            const int chunk = BACK ? p.chunks - 1 - from - j : from + j;
            const bool is = from + j < p.chunks;
            end[j] = is ? get(ends + chunk * stride) : nothing();
            sum[j] = is ? sums[(i64) chunk * p.D] : 0.f;
        }
#pragma unroll
        for (int j = 0; j < AHEAD; j++) {
            const int chunk = BACK ? p.chunks - 1 - from - j : from + j;
            if (from + j < p.chunks) {
                set(ends + chunk * stride, h);
                const Num whole = decay(a, sum[j]);
                h = plus(times(BACK ? conjugate(whole) : whole, h), end[j]);
            }
        }
    }
    float *to = BACK ? p.dstart : p.last;
    if (to) set(to + i * W, h);
}

extern "C" __global__ __launch_bounds__(CARRY_THREADS) void diagonal_carry(const __grid_constant__ DiagonalParams p) { carry<false>(p); }

extern "C" __global__ __launch_bounds__(CARRY_THREADS) void diagonal_back_carry(const __grid_constant__ DiagonalParams p) { carry<true>(p); }

// ---- forward ---------------------------------------------------------------------------------------------------------

extern "C" __global__ __launch_bounds__(THREADS) void diagonal_ends(const __grid_constant__ DiagonalParams p) {
    const Place at = place(p);
    Num a[PER], h[PER];
    get_rates(p, at, a);
    const MatrixB matrixB(at, p.b);
#pragma unroll
    for (int m = 0; m < PER; m++) h[m] = nothing();
    float sum = 0.f;
    for (int tile = 0; tile < at.tiles; tile++) advance(p, at, a, matrixB, at.first + tile * STEPS, h, sum);
    put_all(at, p.ends + of_chunk(p, at), h);
    if (at.there && at.group == 0) p.sums[((i64) at.batch * p.chunks + at.chunk) * p.D + at.channel] = sum;
}

extern "C" __global__ __launch_bounds__(THREADS) void diagonal_scan(const __grid_constant__ DiagonalParams p) {
    __shared__ float shares[GROUPS][STEPS][LANES];
    const Place at = place(p);
    Num a[PER], h[PER];
    get_rates(p, at, a);
    const MatrixB matrixB(at, p.b);
    const MatrixC matrixC(at, p.c);
    get_all(at, p.ends + of_chunk(p, at), h);
    for (int tile = 0; tile < at.tiles; tile++) {
        const i64 t = at.first + tile * STEPS;
        float dt[STEPS], u[STEPS];
#pragma unroll
        for (int q = 0; q < STEPS; q++) dt[q] = step_of(p, at, p.delta, t + q), u[q] = step_of(p, at, p.u, t + q);
#pragma unroll
        for (int q = 0; q < STEPS; q++) {
            Num b[PER], c[PER];
            matrixB.read(p, at, t + q, b);
            matrixC.read(p, at, t + q, c);
            float y = 0.f;
#pragma unroll
            for (int m = 0; m < PER; m++) {
                h[m] = plus(times(decay(a[m], dt[q]), h[m]), scaled(dt[q] * u[q], b[m]));
                y += real_of_product(c[m], h[m]);
            }
            shares[at.group][q][at.lane] = W * y;
        }
        __syncthreads();
        for (int q = at.group; q < STEPS; q += GROUPS) {
            float y = 0.f;
#pragma unroll
            for (int g = 0; g < GROUPS; g++) y += shares[g][q][at.lane];
            put_step(p, at, p.y, t + q, y);
        }
        __syncthreads();
    }
}

// ---- backward --------------------------------------------------------------------------------------------------------

extern "C" __global__ __launch_bounds__(THREADS) void diagonal_back_ends(const __grid_constant__ DiagonalParams p) {
    const Place at = place(p);
    Num a[PER], k[PER];
    get_rates(p, at, a);
    const MatrixC matrixC(at, p.c);
#pragma unroll
    for (int m = 0; m < PER; m++) k[m] = nothing();
    for (int tile = at.tiles - 1; tile >= 0; tile--) {
        const i64 t = at.first + tile * STEPS;
        float dt[STEPS], dy[STEPS];
#pragma unroll
        for (int q = 0; q < STEPS; q++) dt[q] = step_of(p, at, p.delta, t + q), dy[q] = step_of(p, at, p.dy, t + q);
#pragma unroll
        for (int q = STEPS - 1; q >= 0; q--) {
            Num c[PER];
            matrixC.read(p, at, t + q, c);
#pragma unroll
            for (int m = 0; m < PER; m++)
                k[m] = times(conjugate(decay(a[m], dt[q])), plus(k[m], scaled(W * dy[q], conjugate(c[m]))));
        }
    }
    put_all(at, p.back + of_chunk(p, at), k);
}

// Adds up a step's gradients of B and C of the token over the warp's channels and writes them as a part.
__device__ __forceinline__ void put_token(const DiagonalParams &p, const Place &at, i64 t, const Num (&db)[PER], const Num (&dc)[PER]) {
    if constexpr (TOKEN_SUMS > 0) {
        float v[TOKEN_SUMS > 0 ? TOKEN_SUMS : 1];
#pragma unroll
        for (int m = 0; m < PER; m++) {
            if constexpr (B_TOKEN) set(v + m * W, db[m]);
            if constexpr (C_TOKEN) set(v + (B_TOKEN * PER + m) * W, dc[m]);
        }
        lane_sums<1, LANES, TOKEN_SUMS>(v, at.lane);
        if (t < p.L && keeps<1, LANES, TOKEN_SUMS>(at.lane)) {
            const int which = kept_index<1, LANES, TOKEN_SUMS>(at.lane);
            float *to = B_TOKEN && which < PER * W ? p.db : p.dc;
            const int n = at.mode * W + which % (PER * W);
            if (to && n < N) to[(((i64) at.block * p.B + at.batch) * p.L + t) * N + n] = v[0];
        }
    }
}

extern "C" __global__ __launch_bounds__(THREADS, at_least_one(BACK_THREADS / THREADS)) void diagonal_back(const __grid_constant__ DiagonalParams p) {
    __shared__ float shares[2][GROUPS][STEPS][LANES];
    const Place at = place(p);
    Num a[PER], h[PER], k[PER], da[PER], db[PER], dc[PER];
    Num starts[TILES][PER];                         // of the tiles; thread-local memory
    get_rates(p, at, a);
    const MatrixB matrixB(at, p.b);
    const MatrixC matrixC(at, p.c);
    get_all(at, p.ends + of_chunk(p, at), h);
    get_all(at, p.back + of_chunk(p, at), k);
#pragma unroll
    for (int m = 0; m < PER; m++) da[m] = db[m] = dc[m] = nothing();
    float unused = 0.f;
#pragma unroll 1
    for (int tile = 0; tile < at.tiles; tile++) {
#pragma unroll
        for (int m = 0; m < PER; m++) starts[tile][m] = h[m];
        if (tile + 1 < at.tiles) advance(p, at, a, matrixB, at.first + tile * STEPS, h, unused);
    }

#pragma unroll 1
    for (int tile = at.tiles - 1; tile >= 0; tile--) {
        const i64 t = at.first + tile * STEPS;
        float dt[STEPS], u[STEPS], dy[STEPS];
        Num decays[STEPS][PER], states[STEPS + 1][PER];     // states[q]: before step q
#pragma unroll
        for (int q = 0; q < STEPS; q++) {
            dt[q] = step_of(p, at, p.delta, t + q);
            u[q] = step_of(p, at, p.u, t + q);
            dy[q] = step_of(p, at, p.dy, t + q);
        }
#pragma unroll
        for (int m = 0; m < PER; m++) states[0][m] = starts[tile][m];
#pragma unroll
        for (int q = 0; q < STEPS; q++) {
            Num b[PER];
            matrixB.read(p, at, t + q, b);
#pragma unroll
            for (int m = 0; m < PER; m++) {
                decays[q][m] = decay(a[m], dt[q]);
                states[q + 1][m] = plus(times(decays[q][m], states[q][m]), scaled(dt[q] * u[q], b[m]));
            }
        }
#pragma unroll
        for (int q = STEPS - 1; q >= 0; q--) {
            Num b[PER], c[PER], stepB[PER], stepC[PER];
            matrixB.read(p, at, t + q, b);
            matrixC.read(p, at, t + q, c);
            float exponent = 0.f, written = 0.f;
#pragma unroll
            for (int m = 0; m < PER; m++) {
                const Num dh = plus(k[m], scaled(W * dy[q], conjugate(c[m])));
                const Num e = times(dh, conjugate(times(decays[q][m], states[q][m])));
                exponent += real_of_product(e, conjugate(a[m]));
                written += real_of_product(dh, conjugate(b[m]));
                da[m] = plus(da[m], scaled(dt[q], e));
                stepB[m] = scaled(dt[q] * u[q], dh);
                stepC[m] = scaled(W * dy[q], conjugate(states[q + 1][m]));
                if constexpr (!B_TOKEN) db[m] = plus(db[m], stepB[m]);
                if constexpr (!C_TOKEN) dc[m] = plus(dc[m], stepC[m]);
                k[m] = times(conjugate(decays[q][m]), dh);
            }
            put_token(p, at, t + q, stepB, stepC);
            shares[0][at.group][q][at.lane] = exponent;
            shares[1][at.group][q][at.lane] = written;
        }
        __syncthreads();
        for (int q = at.group; q < STEPS; q += GROUPS) {
            float exponent = 0.f, written = 0.f;
#pragma unroll
            for (int g = 0; g < GROUPS; g++) exponent += shares[0][g][q][at.lane], written += shares[1][g][q][at.lane];
            const float step = step_of(p, at, p.delta, t + q), input = step_of(p, at, p.u, t + q);
            put_step(p, at, p.du, t + q, written * step);
            put_step(p, at, p.ddelta, t + q, exponent + written * input);
        }
        __syncthreads();
    }
    if (p.da) put_all(at, p.da + of_chunk(p, at), da);
    if (!B_TOKEN && p.db) put_all(at, p.db + of_chunk(p, at), db);
    if (!C_TOKEN && p.dc) put_all(at, p.dc + of_chunk(p, at), dc);
}
