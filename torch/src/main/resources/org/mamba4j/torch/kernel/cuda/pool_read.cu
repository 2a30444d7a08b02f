// Reading of notes: every token attends to the notes that its chunk's pool holds, of one layer or of several.
//
//   logit_j = q . s_j + log g_j  over the notes j of the pools, and one more, `nothing`, that has no value;
//   out     = r sum_j softmax_j s_j,  r = sigmoid(gate), and 0 unless above tau.
//
// The pools are never formed: note_select.cu lists each sequence's candidates in reading order with the interval of chunks
// in which each is in the pool, so a chunk's queries walk over the candidates before it and pass by those that have left.
// Candidates are little more than a pool's places, since thresholds see to that, and no index is gathered or scattered.
//
//   read_forward        a block per 64 queries of a chunk, a thread per query: softmax as it goes, from `nothing` on
//   read_backward_query the same walk again with the saved log of the sum: gradients of queries, gate and `nothing`
//   read_backward_notes a block per 64 candidates and range of chunks, a thread per candidate: gradients of notes
//
// A note's gradient comes from many blocks, of this layer and of layers above that read it. It is summed as 64-bit
// integers in units of 2^-48, so the order does not matter and the same call gives the same bits; a share that is no
// number or 2^10 and more sets `poison`, which makes the gradient a NaN.
//
// Macros: SUMMARY: S; CHUNK: W; POOLS: pools that are read, 1 to 8; ALIGNED: rows of p and of the queries in them begin at
// multiples of 16 bytes.
// Launch: read_forward, read_backward_query: grid (C ceil(W / 64), B), block 64; read_backward_notes: grid
// (ceil(L / 64), ranges, B POOLS), block 64.
#include "pool_read.cuh"

#ifndef ALIGNED
#define ALIGNED 1
#endif

constexpr int QUADS = ceil_div(SUMMARY, 4);

struct Row {
    float4 v[QUADS];
};

__device__ __forceinline__ float &at(Row &r, int i) { return ((float *) r.v)[i]; }

__device__ __forceinline__ Row zero_row() {
    Row r;
#pragma unroll
    for (int i = 0; i < QUADS; i++) r.v[i] = make_float4(0.f, 0.f, 0.f, 0.f);
    return r;
}

template <typename T>
__device__ __forceinline__ Row load_row(const T *p) {
    Row r;
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const Four f = load4<ALIGNED>(p + 4 * i, SUMMARY - 4 * i);
        r.v[i] = make_float4(f.v[0], f.v[1], f.v[2], f.v[3]);
    }
    return r;
}

__device__ __forceinline__ void store_row(io_t *p, const Row &r) {
#pragma unroll
    for (int i = 0; i < QUADS; i++) store4<ALIGNED>(p + 4 * i, {r.v[i].x, r.v[i].y, r.v[i].z, r.v[i].w}, SUMMARY - 4 * i);
}

__device__ __forceinline__ float dot(const Row &a, const float4 *b) {
    float4 sum = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const float4 v = b[i];
        sum.x += a.v[i].x * v.x;
        sum.y += a.v[i].y * v.y;
        sum.z += a.v[i].z * v.z;
        sum.w += a.v[i].w * v.w;
    }
    return (sum.x + sum.y) + (sum.z + sum.w);
}

// a += f b
__device__ __forceinline__ void add(Row &a, float f, const float4 *b) {
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const float4 v = b[i];
        a.v[i].x += f * v.x;
        a.v[i].y += f * v.y;
        a.v[i].z += f * v.z;
        a.v[i].w += f * v.w;
    }
}

__device__ __forceinline__ void scale(Row &a, float f) {
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        a.v[i].x *= f;
        a.v[i].y *= f;
        a.v[i].z *= f;
        a.v[i].w *= f;
    }
}

// 64 candidates from `first` on, with log g, or -infinity for those that chunk c does not see.
struct Notes {
    float4 row[64][QUADS];
    float log_gate[64];
};

__device__ __forceinline__ void load_notes(Notes &notes, const Pool &pool, const ReadParams &p, int b, int first, int end, int c) {
    const i64 base = (i64) b * p.length;
    const int i = first + threadIdx.x;
    const bool there = i < end;
    const bool seen = there && pool.exit[base + i] > c;
    notes.log_gate[threadIdx.x] = seen ? pool.log_gate[base + i] : MINUS_INFINITE;
    // Neighbouring threads read neighbouring numbers of a note.
    for (int j = threadIdx.x; j < 64 * QUADS; j += 64) {
        const int note = first + j / QUADS, quad = j % QUADS;
        Four f = {0.f, 0.f, 0.f, 0.f};
        if (note < end) f = load4<ALIGNED>(pool.notes + (base + pool.position[base + note]) * SUMMARY + 4 * quad, SUMMARY - 4 * quad);
        notes.row[j / QUADS][quad] = make_float4(f.v[0], f.v[1], f.v[2], f.v[3]);
    }
}

// Calls `body` with each of the notes that chunk c of sequence b sees; all threads walk together, `wanted` ones are called.
template <typename Body>
__device__ __forceinline__ void each_note(const ReadParams &p, Notes &notes, int b, int c, bool wanted, Body body) {
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
            if (!wanted) continue;
            const int n = min(64, end - first);
#pragma unroll 1
            for (int j = 0; j < n; j++)
                if (notes.log_gate[j] != MINUS_INFINITE) body(notes.row[j], notes.log_gate[j]);
        }
    }
}

extern "C" __global__ __launch_bounds__(64) void read_forward(const __grid_constant__ ReadParams p) {
    __shared__ Notes notes;
    __shared__ float room[2];
    const Place at = place(p, threadIdx.x);
    Row q = zero_row(), o = zero_row();
    if (at.there) q = load_row(p.query + at.row * p.stride);
    const float nothing = *p.nothing;
    float most = nothing, sum = 1.f;
    each_note(p, notes, at.b, at.c, at.there, [&](const float4 *note, float log_gate) {
        const float logit = dot(q, note) + log_gate;
        if (logit > most) {
            const float less = fast_exp2((most - logit) * LOG2E);
            scale(o, less);
            sum *= less;
            most = logit;
        }
        const float e = fast_exp2((logit - most) * LOG2E);
        sum += e;
        add(o, e, note);
    });
    float missed = 0.f;
    if (at.there) {
        scale(o, read_gate(p, at.row) / sum);
        store_row(p.out + at.row * p.out_stride, o);
        const float lse = most + logf(sum);
        p.lse[at.row] = lse;
        missed = fast_exp2((nothing - lse) * LOG2E);
    }
    missed = block_sum<64>(missed, room);
    if (threadIdx.x == 0) p.missed_parts[blockIdx.y * gridDim.x + blockIdx.x] = missed;
}

extern "C" __global__ __launch_bounds__(64) void read_backward_query(const __grid_constant__ ReadParams p) {
    __shared__ Notes notes;
    __shared__ float room[2];
    const Place at = place(p, threadIdx.x);
    Row q = zero_row(), d = zero_row(), dq = zero_row();
    float r = 0.f, product = 0.f, lse = 0.f;
    if (at.there) {
        q = load_row(p.query + at.row * p.stride);
        d = load_row(p.dout + at.row * p.out_stride);
        const Row out = load_row(p.out + at.row * p.out_stride);
        product = dot(d, out.v);
        p.dot[at.row] = product;
        lse = p.lse[at.row];
        r = read_gate(p, at.row);
        scale(d, r);
    }
    each_note(p, notes, at.b, at.c, at.there, [&](const float4 *note, float log_gate) {
        const float weight = fast_exp2((dot(q, note) + log_gate - lse) * LOG2E);
        add(dq, weight * (dot(d, note) - product), note);
    });
    float dgate = 0.f, dnothing = 0.f;
    if (at.there) {
        store_row(p.dquery + at.row * p.stride, dq);
        dgate = product * (1.f - r);
        p.dgate[at.row * p.stride] = from_float(dgate);
        dnothing = -fast_exp2((*p.nothing - lse) * LOG2E) * product;
    }
    dgate = block_sum<64>(dgate, room);
    dnothing = block_sum<64>(dnothing, room);
    if (threadIdx.x == 0) {
        const int block = blockIdx.y * gridDim.x + blockIdx.x;
        p.parts[2 * block] = dgate;
        p.parts[2 * block + 1] = dnothing;
    }
}

#define QUERIES_AT_ONCE 32

extern "C" __global__ __launch_bounds__(64) void read_backward_notes(const __grid_constant__ ReadParams p) {
    __shared__ float4 queries[QUERIES_AT_ONCE][QUADS];
    __shared__ float4 douts[QUERIES_AT_ONCE][QUADS];
    __shared__ float gates[QUERIES_AT_ONCE], lses[QUERIES_AT_ONCE], dots[QUERIES_AT_ONCE];
    const int b = blockIdx.z / POOLS;
    const Pool &pool = p.pools[blockIdx.z % POOLS];
    const i64 base = (i64) b * p.length;
    const int first = blockIdx.x * 64, count = pool.count[b];
    if (first >= count) return;
    const int from_chunk = max((int) blockIdx.y * p.chunks_per_range, pool.position[base + first] / CHUNK + 1);
    const int end_chunk = min(min(((int) blockIdx.y + 1) * p.chunks_per_range, p.chunks),
                              pool.last_exit[b * ceil_div(p.length, 64) + blockIdx.x]);
    if (from_chunk >= end_chunk) return;
    const int i = first + threadIdx.x;
    const bool there = i < count;
    Row note = zero_row(), d = zero_row();
    float log_gate = 0.f, dlog_gate = 0.f;
    int enter = p.chunks, exit = 0;
    if (there) {
        const int position = pool.position[base + i];
        note = load_row(pool.notes + (base + position) * SUMMARY);
        log_gate = pool.log_gate[base + i];
        enter = position / CHUNK + 1;
        exit = pool.exit[base + i];
    }
    const int from_token = from_chunk * CHUNK, end_token = min(end_chunk * CHUNK, p.length);
    for (int t = from_token; t < end_token; t += QUERIES_AT_ONCE) {
        const int n = min(QUERIES_AT_ONCE, end_token - t);
        __syncthreads();
        for (int j = threadIdx.x; j < n * QUADS; j += 64) {
            const i64 row = base + t + j / QUADS;
            const int quad = j % QUADS;
            const Four q = load4<ALIGNED>(p.query + row * p.stride + 4 * quad, SUMMARY - 4 * quad);
            const Four g = load4<ALIGNED>(p.dout + row * p.out_stride + 4 * quad, SUMMARY - 4 * quad);
            queries[j / QUADS][quad] = make_float4(q.v[0], q.v[1], q.v[2], q.v[3]);
            douts[j / QUADS][quad] = make_float4(g.v[0], g.v[1], g.v[2], g.v[3]);
        }
        if (threadIdx.x < n) {
            gates[threadIdx.x] = read_gate(p, base + t + threadIdx.x);
            lses[threadIdx.x] = p.lse[base + t + threadIdx.x];
            dots[threadIdx.x] = p.dot[base + t + threadIdx.x];
        }
        __syncthreads();
#pragma unroll 1
        for (int j = 0; j < n; j++) {
            const int c = (t + j) / CHUNK;
            if (c < enter || c >= exit) continue;
            const float weight = fast_exp2((dot(note, queries[j]) + log_gate - lses[j]) * LOG2E);
            const float dlogit = weight * (gates[j] * dot(note, douts[j]) - dots[j]);
            add(d, dlogit, queries[j]);
            add(d, weight * gates[j], douts[j]);
            dlog_gate += dlogit;
        }
    }
    if (!there) return;
    i64 *to = pool.gradient + (base + i) * (SUMMARY + 1);
#pragma unroll
    for (int j = 0; j < SUMMARY; j++) add_share(to + j, ((const float *) d.v)[j], p.poison);
    add_share(to + SUMMARY, dlog_gate, p.poison);
}
