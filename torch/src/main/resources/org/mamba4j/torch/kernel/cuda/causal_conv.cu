// Causal depthwise convolution over time, with bias and SiLU, forward and backward; channel-last.
//
//   pre[t,d] = bias[d] + sum_k weight[d,k] x[t-W+1+k,d],   out = silu(pre);   x before the start (or before the
//   document's start, RESETS) counts as 0, or is read from `before` (the last W-1 inputs of an earlier call).
//
// Idea. A thread owns a few neighbouring channels and CONV_STEPS steps and slides a window of W inputs down them in
// registers: each input is read from device memory once (the W-1 rows that neighbours share come from the cache),
// weights stay in registers, and no shared memory or barrier is needed. The backward pass slides the same window,
// computes pre again, scatters W weighted copies of the gradient into a second window that empties into dx, and keeps
// its share of the weights' gradient in registers; blocks add up shares through shared memory, a second kernel adds up
// the blocks' in fixed order, so results are the same in every run.
//
// Floor (bf16, 8 x 2048 x 1536, H200 copy rate 4.27 TB/s): forward 2 + 2 B per element: 24 us; backward 4 + 2 B: 35 us.
//
// All but the last steps of a sequence are worked on without a test per access (WHOLE): with one, each access is a branch of
// its own, and the compiler issues loads one by one between them (31.4 us forward and 60.2 backward; 28.7 and 55.4 without).
//
// Four channels per thread, not eight: with eight, weights and windows take 136 registers, and so few threads remain
// that loads (8 bytes each, 256 per warp) no longer cover the memory's latency.
//
// Launch, a block being 32 groups of four channels by 8 groups of steps (causal_conv_geometry has the steps of a block):
//   causal_conv_forward: grid (ceil(D / 128), ceil(L / (8 CONV_STEPS)), batch), block 256;
//   causal_conv_backward: grid (ceil(D / 128), ceil(L / (8 BACK_STEPS)), batch), block 256;
//   causal_conv_sum_parameters: grid (ceil(D (W + 1) / 32)), block 256, parts = the y and z of backward's grid.
#include "common.cuh"

#ifndef CONV_W
#define CONV_W 4
#endif
#ifndef RESETS
#define RESETS 0
#endif
#ifndef START_GRADIENT                              // whether `before` has a gradient: a register more, where there is none to spare
#define START_GRADIENT 0
#endif
#ifndef CONV_STEPS
#define CONV_STEPS 16
#endif
#ifndef BACK_STEPS
#define BACK_STEPS 32
#endif
#ifndef SILU
#define SILU 1
#endif
#define W CONV_W
#define V 4                                         // channels per thread
#define AHEAD 8                                     // steps loaded before they are needed, forward
#define BACK_AHEAD 4                                // and backward

struct ConvParams {
    const io_t *x, *before;                         // (batch,L,D), (batch,W-1,D); the latter may be null
    const float *weight, *bias;                     // (D,W), (D); the latter may be null
    const u8 *reset;                                // (batch,L): nonzero where a document begins; used if RESETS
    io_t *out;                                      // (batch,L,D)
    const io_t *dout;                               // (batch,L,D), backward only from here
    io_t *dx;                                       // (batch,L,D)
    float *dweight, *dbias;                         // (D,W), (D); the latter may be null
    float *dbefore;                                 // (batch,W-1,D); used if START_GRADIENT
    float *partial;                                 // (parts,W+1,D) workspace
    i64 xB, xL, outB, outL, doutB, doutL, dxB, dxL;
    i64 L;
    int D;
    int aligned;                                    // bit 0: the (.,L,D) tensors, rows too, and `before`; bit 1: weight: 16 bytes
    int parts;
};

// For the host: steps per block forward and backward.
extern "C" __device__ int causal_conv_geometry[2] = {8 * CONV_STEPS, 8 * BACK_STEPS};

// Lets the kernel behind this one start as far as it can without its results, and waits for those of the kernel before. Where
// neither is launched with leave to begin early, this does nothing. Each kernel is short: to start takes a tenth of its time.
__device__ __forceinline__ void start_early() {
    asm volatile("griddepcontrol.launch_dependents; griddepcontrol.wait;" ::: "memory");
}

// Row t of x where t may be before the start.
__device__ __forceinline__ Packed<V> earlier(const ConvParams &p, i64 b, i64 t, int c, int valid) {
    if (t < 0 && p.before) return load<V>(p.before + (b * (W - 1) + t + W - 1) * p.D + c, valid, (p.aligned & 1) && p.D % V == 0);
    return load<V>(p.x + b * p.xB + t * p.xL + c, t >= 0 ? valid : 0, p.aligned & 1);
}

__device__ __forceinline__ bool begins(const ConvParams &p, i64 b, i64 t) {
    return RESETS && t >= 0 && t < p.L && p.reset[b * p.L + t];
}

__device__ __forceinline__ void parameters(const ConvParams &p, int c, int valid, float (&w)[W][V], float (&bias)[V]) {
#pragma unroll
    for (int i = 0; i < V; i++) {
        bias[i] = i < valid && p.bias ? __ldg(p.bias + c + i) : 0.f;
        if (W == 4 && (p.aligned & 2)) {
            const float4 four = i < valid ? __ldg((const float4 *) p.weight + c + i) : make_float4(0.f, 0.f, 0.f, 0.f);
            w[0][i] = four.x, w[1 % W][i] = four.y, w[2 % W][i] = four.z, w[3 % W][i] = four.w;
        } else {
#pragma unroll
            for (int k = 0; k < W; k++) w[k][i] = i < valid ? __ldg(p.weight + (i64) (c + i) * W + k) : 0.f;
        }
    }
}

// Moves the window one step: x[W-1] is the newest input.
__device__ __forceinline__ void push(float (&x)[W][V], const Packed<V> &next, bool begin) {
#pragma unroll
    for (int k = 0; k < W - 1; k++)
#pragma unroll
        for (int i = 0; i < V; i++) x[k][i] = RESETS && begin ? 0.f : x[k + 1][i];
    unpack(next, x[W - 1]);
}

__device__ __forceinline__ void fill(float (&x)[W][V], const ConvParams &p, i64 b, i64 t, int c, int valid) {
#pragma unroll
    for (int k = 0; k < W; k++)
#pragma unroll
        for (int i = 0; i < V; i++) x[k][i] = 0.f;
#pragma unroll
    for (int k = W - 1; k >= 1; k--) push(x, earlier(p, b, t - k, c, valid), begins(p, b, t - k));
}

// The steps [from, from + rows) of V channels. WHOLE: all CONV_STEPS of them, and all accesses are wide ones.
template <bool WHOLE>
__device__ __forceinline__ void convolve(const ConvParams &p, i64 b, i64 from, int rows, int c, int valid) {
    float w[W][V], bias[V], x[W][V];
    parameters(p, c, valid, w, bias);
    const io_t *in = p.x + b * p.xB + from * p.xL + c;
    io_t *out = p.out + b * p.outB + from * p.outL + c;
    Packed<V> next[AHEAD];
#pragma unroll
    for (int j = 0; j < AHEAD; j++, in += p.xL) next[j] = load_if<WHOLE, V>(in, j < rows ? valid : 0, p.aligned & 1);
    fill(x, p, b, from, c, valid);
#pragma unroll 1
    for (int s = 0; s < (WHOLE ? CONV_STEPS : rows); s += AHEAD) {
#pragma unroll
        for (int j = 0; j < AHEAD; j++, in += p.xL, out += p.outL) {
            push(x, next[j], begins(p, b, from + s + j));
            if (!WHOLE || s + AHEAD < CONV_STEPS) next[j] = load_if<WHOLE, V>(in, s + j + AHEAD < rows ? valid : 0, p.aligned & 1);
            float y[V];
#pragma unroll
            for (int i = 0; i < V; i++) {
                y[i] = bias[i];
#pragma unroll
                for (int k = 0; k < W; k++) y[i] += w[k][i] * x[k][i];
                if (SILU) y[i] *= sigmoid(y[i]);
            }
            store<V>(out, y, WHOLE ? V : s + j < rows ? valid : 0, WHOLE || (p.aligned & 1));
        }
    }
}

extern "C" __global__ __launch_bounds__(256, IO_BF16 ? 3 : 2) void causal_conv_forward(const __grid_constant__ ConvParams p) {
    const int c = (blockIdx.x * 32 + threadIdx.x % 32) * V, valid = p.D - c;
    const i64 b = blockIdx.z, from = ((i64) blockIdx.y * 8 + threadIdx.x / 32) * CONV_STEPS;
    start_early();
    if (valid <= 0 || from >= p.L) return;
    if ((p.aligned & 1) && valid >= V && from + CONV_STEPS <= p.L) {
        convolve<true>(p, b, from, CONV_STEPS, c, V);
    } else {
        convolve<false>(p, b, from, (int) min((i64) CONV_STEPS, p.L - from), c, valid);
    }
}

// The way back through the steps [from, from + BACK_STEPS) of V channels, with the W - 1 behind them. WHOLE: all are there, to
// a multiple of BACK_AHEAD, and all accesses are wide ones.
template <bool WHOLE>
__device__ __forceinline__ void go_back(const ConvParams &p, i64 b, i64 from, int c, int valid, float (&share)[W + 1][V]) {
    float w[W][V], bias[V], x[W][V], dx[W][V];  // dx[W-1]: of the newest input
    parameters(p, c, valid, w, bias);
    const bool first = from == 0;
    int reach = W - 1;                          // how many earlier inputs the newest output sees
    // Inputs of the rows that own steps' gradients flow through: W - 1 past the own ones.
    const int rows = (int) min((i64) (BACK_STEPS + W - 1), p.L - from);
    const io_t *in = p.x + b * p.xB + from * p.xL + c, *dout = p.dout + b * p.doutB + from * p.doutL + c;
    io_t *to = p.dx + b * p.dxB + (from - (W - 1)) * p.dxL + c;
    Packed<V> nextX[BACK_AHEAD], nextG[BACK_AHEAD];
#pragma unroll
    for (int j = 0; j < BACK_AHEAD; j++, in += p.xL, dout += p.doutL) {
        nextX[j] = load_if<WHOLE, V>(in, j < rows ? valid : 0, p.aligned & 1);
        nextG[j] = load_if<WHOLE, V>(dout, j < rows ? valid : 0, p.aligned & 1);
    }
    fill(x, p, b, from, c, valid);
#pragma unroll
    for (int k = 0; k < W; k++)
#pragma unroll
        for (int i = 0; i < V; i++) dx[k][i] = 0.f;
#pragma unroll 1
    for (int s0 = 0; s0 < BACK_STEPS + W - 1; s0 += BACK_AHEAD) {
        const bool own = s0 < BACK_STEPS;       // BACK_AHEAD divides BACK_STEPS
#pragma unroll
        for (int j = 0; j < BACK_AHEAD; j++, in += p.xL, dout += p.doutL, to += p.dxL) {
            const int s = s0 + j;
            const bool begin = begins(p, b, from + s);
            push(x, nextX[j], begin);
            reach = begin ? 0 : min(reach + 1, W - 1);
            float g[V];
            unpack(nextG[j], g);
            if (!WHOLE || own) {
                const int wanted = s + BACK_AHEAD < rows ? valid : 0;
                nextX[j] = load_if<WHOLE, V>(in, wanted, p.aligned & 1);
                nextG[j] = load_if<WHOLE, V>(dout, wanted, p.aligned & 1);
            }
#pragma unroll
            for (int i = 0; i < V; i++) {
                if (SILU) {
                    float pre = bias[i];
#pragma unroll
                    for (int k = 0; k < W; k++) pre += w[k][i] * x[k][i];
                    const float gate = sigmoid(pre);
                    g[i] *= gate * (1.f + pre * (1.f - gate));
                }
#pragma unroll
                for (int k = 0; k < W - 1; k++) dx[k][i] = dx[k + 1][i];
                dx[W - 1][i] = 0.f;
#pragma unroll
                for (int k = 0; k < W; k++)
                    if (!RESETS || W - 1 - k <= reach) dx[k][i] += w[k][i] * g[i];
                if (own) {
#pragma unroll
                    for (int k = 0; k < W; k++) share[k][i] += g[i] * x[k][i];
                    share[W][i] += g[i];
                }
            }
            if (s >= W - 1 && s < BACK_STEPS + W - 1) {
                store<V>(to, dx[0], WHOLE ? V : from + s - (W - 1) < p.L ? valid : 0, WHOLE || (p.aligned & 1));
            }
            if (START_GRADIENT && first && s < W - 1) {         // dx[0] is of the input W - 1 steps back: before the start
#pragma unroll
                for (int i = 0; i < V; i++)
                    if (i < valid) p.dbefore[(b * (W - 1) + s) * p.D + c + i] = dx[0][i];
            }
        }
    }
}

extern "C" __global__ __launch_bounds__(256, 2) void causal_conv_backward(const __grid_constant__ ConvParams p) {
    __shared__ float shares[8][W + 1][32 * V + 1];
    const int c = (blockIdx.x * 32 + threadIdx.x % 32) * V, valid = p.D - c;
    const i64 b = blockIdx.z, from = ((i64) blockIdx.y * 8 + threadIdx.x / 32) * BACK_STEPS;
    float share[W + 1][V];                          // of the gradients of the weights and of the bias
#pragma unroll
    for (int k = 0; k <= W; k++)
#pragma unroll
        for (int i = 0; i < V; i++) share[k][i] = 0.f;
    start_early();
    if ((p.aligned & 1) && valid >= V && from + BACK_STEPS + BACK_AHEAD <= p.L) {
        go_back<true>(p, b, from, c, V, share);
    } else if (valid > 0 && from < p.L) {
        go_back<false>(p, b, from, c, valid, share);
    }

#pragma unroll
    for (int k = 0; k <= W; k++)
#pragma unroll
        for (int i = 0; i < V; i++) shares[threadIdx.x / 32][k][threadIdx.x % 32 * V + i] = share[k][i];
    __syncthreads();
    const i64 part = b * gridDim.y + blockIdx.y;
    for (int index = threadIdx.x; index < (W + 1) * 32 * V; index += 256) {
        const int k = index / (32 * V), column = index % (32 * V), d = blockIdx.x * 32 * V + column;
        float sum = 0.f;
#pragma unroll
        for (int i = 0; i < 8; i++) sum += shares[i][k][column];
        if (d < p.D) p.partial[(part * (W + 1) + k) * p.D + d] = sum;
    }
}

// A block adds up 32 parameters' parts, each by eight threads, so that few loads wait for one another.
extern "C" __global__ __launch_bounds__(256) void causal_conv_sum_parameters(const __grid_constant__ ConvParams p) {
    __shared__ float shares[8][32];
    const int index = blockIdx.x * 32 + threadIdx.x % 32, k = index / p.D, d = index % p.D;
    float sum = 0.f;
    start_early();
    if (k <= W) {
#pragma unroll 4
        for (i64 i = threadIdx.x / 32; i < p.parts; i += 8) sum += p.partial[(i * (W + 1) + k) * p.D + d];
    }
    shares[threadIdx.x / 32][threadIdx.x % 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32 || k > W) return;
#pragma unroll
    for (int i = 1; i < 8; i++) sum += shares[i][threadIdx.x];
    if (k < W) {
        p.dweight[(i64) d * W + k] = sum;
    } else if (p.dbias) {
        p.dbias[d] = sum;
    }
}
