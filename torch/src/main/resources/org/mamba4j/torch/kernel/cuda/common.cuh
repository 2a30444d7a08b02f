// Shared ground of the CUDA kernels: element types, vector access, fast math, lane reductions.
//
// The kernels are compiled at run time by NVRTC, once per element type and state size, so nothing here (or in any
// kernel file) includes a header of the toolkit: bfloat16 is a 16-bit integer whose bits are the upper half of a
// float, and the few instructions the language has no operator for are written in PTX.
//
// Macros given by the caller:
//   IO_BF16   1: activations are bfloat16; 0: float32. Parameters, states and arithmetic are always float32.
#pragma once

#ifndef IO_BF16
#define IO_BF16 1
#endif

typedef unsigned int u32;
typedef unsigned char u8;
typedef long long i64;

#if IO_BF16
typedef unsigned short io_t;
#else
typedef float io_t;
#endif

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

__host__ __device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
__host__ __device__ constexpr int at_least_one(int a) { return a < 1 ? 1 : a; }
__host__ __device__ constexpr int min_of(int a, int b) { return a < b ? a : b; }

// ---- math on the special-function unit; flush-to-zero forms, so that each is one instruction -------------------------

__device__ __forceinline__ float fast_exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float fast_log2(float x) {
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float fast_rcp(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float sigmoid(float x) { return fast_rcp(1.f + fast_exp2(-LOG2E * x)); }

// log(1 + exp(x)); a series where 1 + exp(x) would round exp(x) away, x itself where exp(x) would overflow.
__device__ __forceinline__ float softplus(float x) {
    float e = fast_exp2(x * LOG2E);
    float series = e * (1.f + e * (-.5f + e * .33333333f));
    float log = LN2 * fast_log2(1.f + e);
    return x > 20.f ? x : (e < .0078125f ? series : log);
}

// Derivative of softplus at the point whose softplus is y: 1 - exp(-y), by a series where that would cancel.
__device__ __forceinline__ float softplus_slope(float y) {
    float series = y * (1.f + y * (-.5f + y * .16666667f));
    return y < .015625f ? series : 1.f - fast_exp2(-LOG2E * y);
}

// ---- V neighbouring elements (4 or 8): the unit of global memory access ----------------------------------------------

template <int V>
struct Packed {
    alignas(V * sizeof(io_t) < 16 ? 8 : 16) u32 w[V * sizeof(io_t) / 4];
};

typedef Packed<8> Packed8;

__device__ __forceinline__ float to_float(io_t x) {
#if IO_BF16
    return __uint_as_float((u32) x << 16);
#else
    return x;
#endif
}

// Two floats to bfloat16, round to nearest even; `low` at the lower address.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

__device__ __forceinline__ io_t from_float(float x) {
#if IO_BF16
    return (io_t) (pack_bf16(x, 0.f) & 0xffffu);
#else
    return x;
#endif
}

template <int V>
__device__ __forceinline__ void unpack(const Packed<V> &r, float (&v)[V]) {
#pragma unroll
    for (int i = 0; i < V; i++) {
#if IO_BF16
        v[i] = __uint_as_float(i % 2 ? r.w[i / 2] & 0xffff0000u : r.w[i / 2] << 16);
#else
        v[i] = __uint_as_float(r.w[i]);
#endif
    }
}

template <int V>
__device__ __forceinline__ Packed<V> pack(const float (&v)[V]) {
    Packed<V> r;
#if IO_BF16
#pragma unroll
    for (int i = 0; i < V / 2; i++) r.w[i] = pack_bf16(v[2 * i], v[2 * i + 1]);
#else
#pragma unroll
    for (int i = 0; i < V; i++) r.w[i] = __float_as_uint(v[i]);
#endif
    return r;
}

// Loads p[0..valid), zero beyond; 16-byte accesses (8 for four bfloat16) where `aligned` says the address allows it.
template <int V>
__device__ __forceinline__ Packed<V> load(const io_t *p, int valid, bool aligned) {
    Packed<V> r;
    if (aligned && valid >= V) {
        if constexpr (sizeof(r) == 8) {
            *(uint2 *) r.w = __ldg((const uint2 *) p);
        } else {
#pragma unroll
            for (int i = 0; i < (int) sizeof(r) / 16; i++) *(uint4 *) (r.w + 4 * i) = __ldg((const uint4 *) p + i);
        }
    } else {
        float v[V];
#pragma unroll
        for (int i = 0; i < V; i++) v[i] = i < valid ? to_float(__ldg(p + i)) : 0.f;
        r = pack(v);
    }
    return r;
}

template <int V>
__device__ __forceinline__ void store(io_t *p, const float (&v)[V], int valid, bool aligned) {
    if (aligned && valid >= V) {
        const Packed<V> r = pack(v);
        if constexpr (sizeof(r) == 8) {
            *(uint2 *) p = make_uint2(r.w[0], r.w[1]);
        } else {
#pragma unroll
            for (int i = 0; i < (int) sizeof(r) / 16; i++)
                ((uint4 *) p)[i] = make_uint4(r.w[4 * i], r.w[4 * i + 1], r.w[4 * i + 2], r.w[4 * i + 3]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < V; i++)
            if (i < valid) p[i] = from_float(v[i]);
    }
}

// The same where WHOLE promises that all V elements are there and aligned: a branch per access would keep the compiler
// from issuing several loads before it waits for the first.
template <bool WHOLE, int V>
__device__ __forceinline__ Packed<V> load_if(const io_t *p, int valid, bool aligned) {
    if constexpr (WHOLE) {
        Packed<V> r;
        if constexpr (sizeof(r) == 8) {
            *(uint2 *) r.w = __ldg((const uint2 *) p);
        } else {
#pragma unroll
            for (int i = 0; i < (int) sizeof(r) / 16; i++) *(uint4 *) (r.w + 4 * i) = __ldg((const uint4 *) p + i);
        }
        return r;
    } else {
        return load<V>(p, valid, aligned);
    }
}

template <bool WHOLE>
__device__ __forceinline__ Packed<8> load8_if(const io_t *p, int valid, bool aligned) { return load_if<WHOLE, 8>(p, valid, aligned); }

__device__ __forceinline__ Packed8 load8(const io_t *p, int valid, bool aligned) { return load<8>(p, valid, aligned); }

__device__ __forceinline__ void store8(io_t *p, const float (&v)[8], int valid, bool aligned) { store<8>(p, v, valid, aligned); }

// Asks for the line at p to be brought to the second-level cache.
__device__ __forceinline__ void prefetch(const void *p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }

// Stores four floats to shared memory if `wanted`, by a predicate: a branch would part the code around it.
__device__ __forceinline__ void store_shared_if(bool wanted, float *shared, float4 v) {
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %0, 0; @p st.shared.v4.f32 [%1], {%2, %3, %4, %5}; }" ::"r"((u32) wanted),
                 "r"((u32) __cvta_generic_to_shared(shared)), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
                 : "memory");
}

// Copies V elements to shared memory without waiting, in pieces of 16 bytes or one of 8; both addresses multiples of that.
// await_copies waits for all that the thread began.
template <int V>
__device__ __forceinline__ void begin_copy(Packed<V> &shared, const io_t *global) {
    const u32 to = (u32) __cvta_generic_to_shared(shared.w);
    if constexpr (sizeof(shared) == 8) {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(global) : "memory");
    } else {
#pragma unroll
        for (int i = 0; i < (int) sizeof(shared) / 16; i++)
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to + 16 * i), "l"(global + i * (16 / sizeof(io_t))) : "memory");
    }
}

__device__ __forceinline__ void await_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// ---- sums over lanes -------------------------------------------------------------------------------------------------

// Sums each of COUNT values over the lanes whose numbers differ in the bits [LOW, HIGH) (powers of two), so that every
// lane ends with at_least_one(COUNT * LOW / HIGH) sums, in v[0..]; which ones, kept_index says. While more than one
// value is left, a lane sends the half that it gives up and adds the half that it keeps: COUNT - 1 shuffles in place of
// COUNT * log2(lanes). The order of additions is fixed, so results are the same in every run.
template <int LOW, int HIGH, int COUNT>
__device__ __forceinline__ void lane_sums(float *v, int lane) {
    if constexpr (LOW < HIGH) {
        if constexpr (COUNT > 1) {
            constexpr int HALF = COUNT / 2;
            const bool upper = lane & LOW;
#pragma unroll
            for (int i = 0; i < HALF; i++) {
                const float give = upper ? v[i] : v[i + HALF];
                const float keep = upper ? v[i + HALF] : v[i];
                v[i] = keep + __shfl_xor_sync(0xffffffffu, give, LOW);
            }
            lane_sums<LOW * 2, HIGH, HALF>(v, lane);
        } else {
            v[0] += __shfl_xor_sync(0xffffffffu, v[0], LOW);
            lane_sums<LOW * 2, HIGH, 1>(v, lane);
        }
    }
}

// Index of the first of the values that `lane` holds after lane_sums<LOW, HIGH, COUNT>.
template <int LOW, int HIGH, int COUNT>
__device__ __forceinline__ int kept_index(int lane) {
    if constexpr (LOW < HIGH && COUNT > 1) {
        return ((lane & LOW) ? COUNT / 2 : 0) + kept_index<LOW * 2, HIGH, COUNT / 2>(lane);
    } else {
        return 0;
    }
}

// Whether `lane` is the one lane to write its values: several hold the same when there are more lanes than values.
template <int LOW, int HIGH, int COUNT>
__device__ __forceinline__ bool keeps(int lane) {
    if constexpr (LOW < HIGH) {
        if constexpr (COUNT > 1) {
            return keeps<LOW * 2, HIGH, COUNT / 2>(lane);
        } else {
            return !(lane & LOW) && keeps<LOW * 2, HIGH, 1>(lane);
        }
    } else {
        return true;
    }
}
