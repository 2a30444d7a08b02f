// Runs CUDA kernels on a CPU, to check what they compute where there is no GPU: included before a kernel's source, compiled as C++.
//
// A block's threads are fibres that run in turn, each up to its next __syncthreads or shuffle; the order of turns can be reversed,
// so that a result which depends on it (a missing barrier) shows. Fibres that wait at different places, or end while
// others wait, stop the program. A shuffle waits for the whole block, not only for its warp, so missing __syncwarps are not found, nor is a
// shuffle that not all warps execute. PTX is not understood: kernels that use functions made of it cannot be checked.
#pragma once
#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __grid_constant__
#define __shared__ static                           // one block at a time
#define __launch_bounds__(...)
#define asm(...)

struct Index {
    int x, y, z;
};
struct uint2 {
    unsigned x, y;
};
struct uint4 {
    unsigned x, y, z, w;
};
struct float4 {
    float x, y, z, w;
};
static Index blockIdx, threadIdx;

static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline unsigned long __cvta_generic_to_shared(const void *p) { return (unsigned long) p; }

template <class T>
T __ldg(const T *p) { return *p; }

static inline float __uint_as_float(unsigned x) {
    float f;
    memcpy(&f, &x, 4);
    return f;
}

static inline unsigned __float_as_uint(float x) {
    unsigned u;
    memcpy(&u, &x, 4);
    return u;
}

static inline void sincospif(float x, float *sine, float *cosine) {
    const double angle = M_PI * fmod((double) x, 2.0);
    *sine = (float) sin(angle), *cosine = (float) cos(angle);
}

namespace emulator {
constexpr size_t STACK = 256 << 10;
static bool reversed;
static int running;                                 // the fibre
static ucontext_t scheduler;
static std::vector<ucontext_t> fibres;
static std::vector<char *> stacks;
static std::vector<bool> ended;
static std::vector<int> place;                      // where each waits
static std::vector<float> sent;                     // by shuffles
static std::function<void()> body;

static void wait(int at) {
    place[running] = at;
    swapcontext(&fibres[running], &scheduler);
}

static void run() {
    body();
    ended[running] = true;
    swapcontext(&fibres[running], &scheduler);
}

static void stop(const char *why) {
    fprintf(stderr, "emulator: %s\n", why);
    exit(1);
}

static void run_block(int threads, const std::function<void()> &kernel) {
    body = kernel;
    if ((int) fibres.size() < threads) fibres.resize(threads);
    while ((int) stacks.size() < threads) stacks.push_back((char *) malloc(STACK));
    ended.assign(threads, false), place.assign(threads, 0), sent.assign(threads, 0.f);
    for (int i = 0; i < threads; i++) {
        getcontext(&fibres[i]);
        fibres[i].uc_stack.ss_sp = stacks[i], fibres[i].uc_stack.ss_size = STACK, fibres[i].uc_link = nullptr;
        makecontext(&fibres[i], run, 0);
    }
    for (int done = 0; done < threads;) {
        done = 0;
        for (int i = 0; i < threads; i++) {
            running = reversed ? threads - 1 - i : i;
            threadIdx = {running, 0, 0};
            swapcontext(&scheduler, &fibres[running]);
            done += ended[running];
        }
        if (done && done < threads) stop("some threads have ended while others wait");
        for (int i = 1; i < threads; i++)
            if (place[i] != place[0]) stop("threads wait at different places");
    }
}

template <class Kernel, class Params>
void launch(Kernel kernel, int gridX, int gridY, int threads, const Params &params) {
    for (int y = 0; y < gridY; y++)
        for (int x = 0; x < gridX; x++) {
            blockIdx = {x, y, 0};
            run_block(threads, [&] { kernel(params); });
        }
}
}  // namespace emulator

static inline void __syncthreads() { emulator::wait(1); }

static inline float __shfl_xor_sync(unsigned, float value, int bit) {
    emulator::sent[emulator::running] = value;
    emulator::wait(100 + bit);
    const float got = emulator::sent[emulator::running ^ bit];
    emulator::wait(200 + bit);
    return got;
}
