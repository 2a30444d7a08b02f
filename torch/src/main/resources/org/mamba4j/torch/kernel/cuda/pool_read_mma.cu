// Reading of notes on the tensor cores: what pool_read.cu computes, in bfloat16, for summaries of a multiple of 16 numbers.
//
//   read_forward, read_backward_query   a block per 64 queries of a chunk, a warp per 16; notes in tiles of 64
//   read_backward_notes                 a block per 64 candidates and range of chunks, a warp per 16; queries in tiles of 64
//
// Notes are keys and values at once, so a tile is loaded once: as it lies for the products with queries, transposed by
// ldmatrix for the sums over notes. Scores, softmax and sums are float32; factors are bfloat16 (queries, notes, weights).
//
// Macros: see pool_read.cuh. Launch: as pool_read.cu, but block 128.
#include "pool_read.cuh"
#include "mma.cuh"

constexpr int STEPS = SUMMARY / 16;                 // of a product over S
constexpr int PITCH = SUMMARY + 8;                  // of rows in shared memory: eight of them take all banks
constexpr int PIECES = SUMMARY / 8;                 // 16-byte pieces of a row
static_assert(SUMMARY % 16 == 0, "summaries of a multiple of 16 numbers");

struct Tile {
    bf16_t row[64][PITCH];
};

// 16 rows of 16 * STEPS numbers as the left factor of products.
struct Left {
    u32 v[STEPS][4];
};

__device__ __forceinline__ Left load_left(const float *p, i64 first, i64 second, bool has_first, bool has_second) {
    Left a;
    const int k = threadIdx.x % 4 * 2;
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int at = 16 * s + 8 * half + k;
            a.v[s][2 * half] = has_first ? pack_bf16(p[first + at], p[first + at + 1]) : 0;
            a.v[s][2 * half + 1] = has_second ? pack_bf16(p[second + at], p[second + at + 1]) : 0;
        }
    }
    return a;
}

__device__ __forceinline__ u32 scaled(u32 two, float f) {
    return pack_bf16(__uint_as_float(two << 16) * f, __uint_as_float(two & 0xffff0000u) * f);
}

__device__ __forceinline__ Left load_left(const bf16_t *p, i64 first, i64 second, bool has_first, bool has_second, float f, float g) {
    Left a;
    const int k = threadIdx.x % 4 * 2;
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int at = 16 * s + 8 * half + k;
            a.v[s][2 * half] = has_first ? scaled(*(const u32 *) (p + first + at), f) : 0;
            a.v[s][2 * half + 1] = has_second ? scaled(*(const u32 *) (p + second + at), g) : 0;
        }
    }
    return a;
}

// c[0], c[1] += left times the rows [first, first + 16) of the tile, transposed: two blocks of 16 x 8.
__device__ __forceinline__ void times_rows(float (&c)[2][4], const Left &a, const Tile &tile, int first) {
    const int lane = threadIdx.x % 32;
    const bf16_t *row = tile.row[first + lane % 8 + lane / 16 * 8] + lane / 8 % 2 * 8;
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
        u32 b[4];
        load_matrices(b, row + 16 * s);
        multiply(c[0], a.v[s], b[0], b[1]);
        multiply(c[1], a.v[s], b[2], b[3]);
    }
}

// The weights of 16 columns as the left factor of a product over them.
__device__ __forceinline__ void as_left(u32 (&a)[4], const float (&c)[2][4]) {
    a[0] = pack_bf16(c[0][0], c[0][1]);
    a[1] = pack_bf16(c[0][2], c[0][3]);
    a[2] = pack_bf16(c[1][0], c[1][1]);
    a[3] = pack_bf16(c[1][2], c[1][3]);
}

// sums (16 x S) += a (16 x 16) times the rows [first, first + 16) of the tile.
__device__ __forceinline__ void add_rows(float (&sums)[2 * STEPS][4], const u32 (&a)[4], const Tile &tile, int first) {
    const int lane = threadIdx.x % 32;
    const bf16_t *row = tile.row[first + lane % 16] + lane / 16 * 8;
#pragma unroll
    for (int n = 0; n < STEPS; n++) {
        u32 b[4];
        load_matrices_transposed(b, row + 16 * n);
        multiply(sums[2 * n], a, b[0], b[1]);
        multiply(sums[2 * n + 1], a, b[2], b[3]);
    }
}

// 64 candidates from `first` on, with log g in units of log2, or -infinity for those that chunk c does not see.
struct Notes {
    Tile tile;
    float log_gate[64];
};

__device__ __forceinline__ void load_notes(Notes &notes, const Pool &pool, const ReadParams &p, int b, int first, int end, int c) {
    const i64 base = (i64) b * p.length;
    if (threadIdx.x < 64) {
        const int i = first + threadIdx.x;
        const bool seen = i < end && pool.exit[base + i] > c;
        notes.log_gate[threadIdx.x] = seen ? pool.log_gate[base + i] * LOG2E : MINUS_INFINITE;
    }
#pragma unroll
    for (int j = threadIdx.x; j < 64 * PIECES; j += 128) {
        const int note = first + j / PIECES, piece = j % PIECES;
        uint4 v = make_uint4(0, 0, 0, 0);
        if (note < end) v = *(const uint4 *) (pool.notes + (base + pool.position[base + note]) * SUMMARY + 8 * piece);
        *(uint4 *) (notes.tile.row[j / PIECES] + 8 * piece) = v;
    }
}

// Calls `body` with tiles of the notes that chunk c of sequence b sees, and how many there are; all threads together.
template <typename Body>
__device__ __forceinline__ void each_tile(const ReadParams &p, Notes &notes, int b, int c, Body body) {
#pragma unroll 1
    for (int k = 0; k < POOLS; k++) {
        const Pool &pool = p.pools[k];
        const int end = pool.starts[b * p.chunks + c];
        const int *last_exit = pool.last_exit + b * ceil_div(p.length, 64);
        for (int first = 0; first < end; first += 64) {
            if (last_exit[first / 64] <= c) continue;
            __syncthreads();
            load_notes(notes, pool, p, b, first, end, c);
            __syncthreads();
            body(min(64, end - first));
        }
    }
}

__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// A lane has the rows lane / 4 and lane / 4 + 8 of its warp's 16, and of each 8 columns the two from lane % 4 * 2 on.
__device__ __forceinline__ int lane_row() { return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4; }

extern "C" __global__ __launch_bounds__(128) void read_forward(const __grid_constant__ ReadParams p) {
    alignas(16) __shared__ Notes notes;
    __shared__ float room[4];
    const Place at[2] = {place(p, lane_row()), place(p, lane_row() + 8)};
    const Left q = load_left(p.query, at[0].row * p.stride, at[1].row * p.stride, at[0].there, at[1].there);
    const float nothing = *p.nothing * LOG2E;
    float most[2] = {nothing, nothing}, sum[2] = {0.f, 0.f};                 // sum: this lane's columns, without nothing
    float o[2 * STEPS][4] = {};
    each_tile(p, notes, at[0].b, at[0].c, [&](int n) {
        float c[4][2][4];
        float tile_most[2] = {MINUS_INFINITE, MINUS_INFINITE};
#pragma unroll
        for (int k = 0; k < 4; k++) {
#pragma unroll
            for (int i = 0; i < 8; i++) c[k][i / 4][i % 4] = 0.f;
            if (16 * k < n) times_rows(c[k], q, notes.tile, 16 * k);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int column = 16 * k + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2;
                float &x = c[k][i / 4][i % 4];
                x = x * LOG2E + notes.log_gate[column];
                tile_most[i % 4 / 2] = fmaxf(tile_most[i % 4 / 2], x);
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float now = fmaxf(most[r], quad_max(tile_most[r]));
            const float less = fast_exp2(most[r] - now);
            most[r] = now;
            sum[r] *= less;
#pragma unroll
            for (int i = 0; i < 2 * STEPS; i++) {
                o[i][2 * r] *= less;
                o[i][2 * r + 1] *= less;
            }
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (16 * k >= n) break;
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float &x = c[k][i / 4][i % 4];
                x = fast_exp2(x - most[i % 4 / 2]);
                sum[i % 4 / 2] += x;
            }
            u32 a[4];
            as_left(a, c[k]);
            add_rows(o, a, notes.tile, 16 * k);
        }
    });
    float missed = 0.f;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float mine = fast_exp2(nothing - most[r]);
        const float all = quad_sum(sum[r]) + mine;
        if (!at[r].there) continue;
        const float f = read_gate(p, at[r].row) / all;
#pragma unroll
        for (int i = 0; i < 2 * STEPS; i++)
            *(u32 *) (p.out + at[r].row * p.out_stride + 8 * i + threadIdx.x % 4 * 2) = pack_bf16(o[i][2 * r] * f, o[i][2 * r + 1] * f);
        if (threadIdx.x % 4 == 0) {
            p.lse[at[r].row] = (most[r] + log2f(all)) * LN2;
            missed += mine / all;
        }
    }
    missed = block_sum<128>(missed, room);
    if (threadIdx.x == 0) p.missed_parts[blockIdx.y * gridDim.x + blockIdx.x] = missed;
}

extern "C" __global__ __launch_bounds__(128) void read_backward_query(const __grid_constant__ ReadParams p) {
    alignas(16) __shared__ Notes notes;
    __shared__ float room[4];
    const Place at[2] = {place(p, lane_row()), place(p, lane_row() + 8)};
    const Left q = load_left(p.query, at[0].row * p.stride, at[1].row * p.stride, at[0].there, at[1].there);
    float gate[2], product[2], lse[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        gate[r] = at[r].there ? read_gate(p, at[r].row) : 0.f;
        lse[r] = at[r].there ? p.lse[at[r].row] * LOG2E : 0.f;
        float sum = 0.f;
        if (at[r].there) {
            const i64 first = at[r].row * p.out_stride + threadIdx.x % 4 * 2;
#pragma unroll
            for (int i = 0; i < 2 * STEPS; i++) {
                const u32 a = *(const u32 *) (p.out + first + 8 * i), b = *(const u32 *) (p.dout + first + 8 * i);
                sum += __uint_as_float(a << 16) * __uint_as_float(b << 16) +
                       __uint_as_float(a & 0xffff0000u) * __uint_as_float(b & 0xffff0000u);
            }
        }
        product[r] = quad_sum(sum);
        if (at[r].there && threadIdx.x % 4 == 0) p.dot[at[r].row] = product[r];
    }
    const Left d = load_left(p.dout, at[0].row * p.out_stride, at[1].row * p.out_stride, at[0].there, at[1].there, gate[0], gate[1]);
    float dq[2 * STEPS][4] = {};
    each_tile(p, notes, at[0].b, at[0].c, [&](int n) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (16 * k >= n) break;
            float c[2][4] = {}, g[2][4] = {};
            times_rows(c, q, notes.tile, 16 * k);
            times_rows(g, d, notes.tile, 16 * k);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int column = 16 * k + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2, r = i % 4 / 2;
                float &x = c[i / 4][i % 4];
                x = fast_exp2(x * LOG2E + notes.log_gate[column] - lse[r]) * (g[i / 4][i % 4] - product[r]);
            }
            u32 a[4];
            as_left(a, c);
            add_rows(dq, a, notes.tile, 16 * k);
        }
    });
    float dgate = 0.f, dnothing = 0.f;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        if (!at[r].there) continue;
#pragma unroll
        for (int i = 0; i < 2 * STEPS; i++)
            *(u32 *) (p.dquery + at[r].row * p.stride + 8 * i + threadIdx.x % 4 * 2) = pack_bf16(dq[i][2 * r], dq[i][2 * r + 1]);
        if (threadIdx.x % 4 == 0) {
            const float x = product[r] * (1.f - gate[r]);
            p.dgate[at[r].row * p.stride] = from_float(x);
            dgate += x;
            dnothing -= fast_exp2(*p.nothing * LOG2E - lse[r]) * product[r];
        }
    }
    dgate = block_sum<128>(dgate, room);
    dnothing = block_sum<128>(dnothing, room);
    if (threadIdx.x == 0) {
        const int block = blockIdx.y * gridDim.x + blockIdx.x;
        p.parts[2 * block] = dgate;
        p.parts[2 * block + 1] = dnothing;
    }
}

extern "C" __global__ __launch_bounds__(128) void read_backward_notes(const __grid_constant__ ReadParams p) {
    alignas(16) __shared__ Tile queries;
    alignas(16) __shared__ Tile douts;
    __shared__ float lses[64], dots[64];
    __shared__ int chunks[64];
    const int b = blockIdx.z / POOLS;
    const Pool &pool = p.pools[blockIdx.z % POOLS];
    const i64 base = (i64) b * p.length;
    const int first = blockIdx.x * 64, count = pool.count[b];
    if (first >= count) return;
    const int from_chunk = max((int) blockIdx.y * p.chunks_per_range, pool.position[base + first] / CHUNK + 1);
    const int end_chunk = min(min(((int) blockIdx.y + 1) * p.chunks_per_range, p.chunks),
                              pool.last_exit[b * ceil_div(p.length, 64) + blockIdx.x]);
    if (from_chunk >= end_chunk) return;
    i64 row[2] = {0, 0};
    float log_gate[2], dlog_gate[2] = {0.f, 0.f};
    int enter[2], exit[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int i = first + lane_row() + 8 * r;
        log_gate[r] = 0.f;
        enter[r] = p.chunks;
        exit[r] = 0;
        if (i < count) {
            const int position = pool.position[base + i];
            row[r] = (base + position) * SUMMARY;
            log_gate[r] = pool.log_gate[base + i] * LOG2E;
            enter[r] = position / CHUNK + 1;
            exit[r] = pool.exit[base + i];
        }
    }
    const Left note = load_left(pool.notes, row[0], row[1], exit[0] > 0, exit[1] > 0, 1.f, 1.f);
    float d[2 * STEPS][4] = {};
    const int from_token = from_chunk * CHUNK, end_token = min(end_chunk * CHUNK, p.length);
    for (int t = from_token; t < end_token; t += 64) {
        const int n = min(64, end_token - t);
        __syncthreads();
        for (int j = threadIdx.x; j < 64 * PIECES; j += 128) {
            const int query = j / PIECES, piece = j % PIECES;
            uint4 q = make_uint4(0, 0, 0, 0), g = q;
            if (query < n) {
                const i64 token = base + t + query;
                const float4 *x = (const float4 *) (p.query + token * p.stride + 8 * piece);
                const float4 low = x[0], high = x[1];
                q = make_uint4(pack_bf16(low.x, low.y), pack_bf16(low.z, low.w), pack_bf16(high.x, high.y), pack_bf16(high.z, high.w));
                const float gate = read_gate(p, token);
                g = *(const uint4 *) (p.dout + token * p.out_stride + 8 * piece);
                g = make_uint4(scaled(g.x, gate), scaled(g.y, gate), scaled(g.z, gate), scaled(g.w, gate));
            }
            *(uint4 *) (queries.row[query] + 8 * piece) = q;
            *(uint4 *) (douts.row[query] + 8 * piece) = g;
        }
        if (threadIdx.x < 64) {
            const bool there = threadIdx.x < n;
            lses[threadIdx.x] = there ? p.lse[base + t + threadIdx.x] * LOG2E : 0.f;
            dots[threadIdx.x] = there ? p.dot[base + t + threadIdx.x] : 0.f;
            chunks[threadIdx.x] = there ? (t + (int) threadIdx.x) / CHUNK : -1;                // before any note enters
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (16 * k >= n) break;
            float w[2][4] = {}, g[2][4] = {};
            times_rows(w, note, queries, 16 * k);
            times_rows(g, note, douts, 16 * k);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int column = 16 * k + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2, r = i % 4 / 2;
                const bool seen = chunks[column] >= enter[r] && chunks[column] < exit[r];
                float &x = w[i / 4][i % 4], &y = g[i / 4][i % 4];
                x = seen ? fast_exp2(x * LOG2E + log_gate[r] - lses[column]) : 0.f;
                y = x * (y - dots[column]);
                dlog_gate[r] += y;
            }
            u32 a[4];
            as_left(a, g);
            add_rows(d, a, queries, 16 * k);
            as_left(a, w);
            add_rows(d, a, douts, 16 * k);
        }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float sum = quad_sum(dlog_gate[r]);
        if (exit[r] == 0) continue;
        i64 *to = pool.gradient + (base + first + lane_row() + 8 * r) * (SUMMARY + 1);
#pragma unroll
        for (int i = 0; i < 2 * STEPS; i++) {
            add_share(to + 8 * i + threadIdx.x % 4 * 2, d[i][2 * r], p.poison);
            add_share(to + 8 * i + threadIdx.x % 4 * 2 + 1, d[i][2 * r + 1], p.poison);
        }
        if (threadIdx.x % 4 == 0) add_share(to + SUMMARY, sum, p.poison);
    }
}
