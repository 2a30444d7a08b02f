// Mamba generation for a batch: what a step does between its matrix products.
//
// Per layer, the products being libtorch's:  decode_norm, [in_proj], decode_conv, [x_proj], decode_state, [out_proj, added to
// the residual]; then decode_norm, [head], decode_choose (decode_choose.cu). A step is recorded as one CUDA graph.
//
// The states decide: (B,D,N) float32 are read and written, 128 bytes for each channel of a sequence, against a weight's 2 for
// the whole batch. So decode_state asks for states before it waits for the kernels that tell what to do with them, and for
// those of later sequences while it computes.
#include "common.cuh"

// Sizes, by the caller: MODEL (d), INNER (D), STATES (N), RANK (R), CONV_W (K), SEQUENCES that a block of decode_state takes.
#define SELECT (RANK + 2 * STATES)
#define SELECT_ROW (ceil_div(SELECT, 8) * 8)
#define RANK_ROW (ceil_div(RANK, 8) * 8)
#define CONV_ROW (ceil_div(CONV_W + 3, 4) * 4)                  // conv weight, conv bias, dt bias, D
#define CHANNEL_ROW (CONV_ROW + ceil_div(STATES, 4) * 4)        // and A, times log2(e)

struct BatchParams {
    const int *tokens;                              // (B): what to embed; null: the residual is there
    const io_t *embedding;                          // (V,d)
    float *residual;                                // (B,d)
    const float *norm;                              // (d)
    io_t *normed;                                   // (B,d), may be null
    float *hidden;                                  // (B,d): the same in float32, may be null
    const io_t *xz;                                 // (B,2D)
    const float *channel;                           // (D,CHANNEL_ROW)
    float *conv, *h;                                // (B,D,K-1), (B,D,N)
    io_t *u;                                        // (B,D)
    const io_t *select, *dtProj;                    // (B,SELECT_ROW), (D,RANK_ROW)
    io_t *y;                                        // (B,D)
    int batch;
    float epsilon;
};

// What comes after this needs the results of the kernel before; what comes before it, weights and states, does not. Where a
// kernel is launched without leave to begin early, this does nothing.
__device__ __forceinline__ void after_the_kernel_before() {
    asm volatile("griddepcontrol.launch_dependents; griddepcontrol.wait;" ::: "memory");
}

// Grid B, block 256.
extern "C" __global__ __launch_bounds__(256) void decode_norm(const __grid_constant__ BatchParams p) {
    constexpr int EACH = ceil_div(MODEL, 256);
    __shared__ float squares[8];
    const int t = threadIdx.x, lane = t % 32, warp = t / 32;
    const i64 row = (i64) blockIdx.x * MODEL;
    after_the_kernel_before();
    const i64 from = p.tokens ? (i64) p.tokens[blockIdx.x] * MODEL : 0;
    float x[EACH], weight[EACH], sum = 0.f;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const int c = i * 256 + t;
        const bool there = MODEL % 256 == 0 || c < MODEL;
        weight[i] = there ? __ldg(p.norm + c) : 0.f;
        x[i] = !there ? 0.f : p.tokens ? to_float(p.embedding[from + c]) : p.residual[row + c];
        sum += x[i] * x[i];
    }
#pragma unroll
    for (int i = 16; i; i /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, i);
    if (lane == 0) squares[warp] = sum;
    __syncthreads();
    sum = 0.f;
#pragma unroll
    for (int i = 0; i < 8; i++) sum += squares[i];
    const float scale = rsqrtf(sum / MODEL + p.epsilon);
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const int c = i * 256 + t;
        if (MODEL % 256 == 0 || c < MODEL) {
            if (p.tokens) p.residual[row + c] = x[i];
            const float y = x[i] * scale * weight[i];
            if (p.normed) p.normed[row + c] = from_float(y);
            if (p.hidden) p.hidden[row + c] = y;
        }
    }
}

#define TOGETHER (CONV_W == 4 && INNER % 4 == 0 ? 4 : 1)         // channels of a thread of decode_conv

// For the host: channels of a block of decode_conv.
extern "C" __device__ int decode_conv_channels[1] = {128 * TOGETHER};

// Grid (ceil(D / decode_conv_channels), B), block 128.
extern "C" __global__ __launch_bounds__(128) void decode_conv(const __grid_constant__ BatchParams p) {
    const int c = (blockIdx.x * 128 + threadIdx.x) * TOGETHER;
    if (c >= INNER) return;
    const i64 b = blockIdx.y;
    float *state = p.conv + (b * INNER + c) * (CONV_W - 1);
    const float *parameters = p.channel + c * CHANNEL_ROW;
    if constexpr (TOGETHER == 4) {
        float before[12], in[4], w[4][4], bias[4], y[4];
#pragma unroll
        for (int i = 0; i < 12; i += 4) *(float4 *) (before + i) = *(const float4 *) (state + i);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            *(float4 *) w[i] = __ldg((const float4 *) (parameters + i * CHANNEL_ROW));
            bias[i] = __ldg(parameters + i * CHANNEL_ROW + 4);
        }
        after_the_kernel_before();
        unpack(load<4>(p.xz + b * 2 * INNER + c, 4, true), in);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float v = bias[i] + w[i][3] * in[i];
#pragma unroll
            for (int k = 0; k < 3; k++) v += w[i][k] * before[i * 3 + k];
            before[i * 3] = before[i * 3 + 1], before[i * 3 + 1] = before[i * 3 + 2], before[i * 3 + 2] = in[i];
            y[i] = v * sigmoid(v);
        }
#pragma unroll
        for (int i = 0; i < 12; i += 4) *(float4 *) (state + i) = *(const float4 *) (before + i);
        store<4>(p.u + b * INNER + c, y, 4, true);
    } else {
        after_the_kernel_before();
        float before[CONV_W > 1 ? CONV_W - 1 : 1];
        const float in = to_float(p.xz[b * 2 * INNER + c]);
#pragma unroll
        for (int k = 0; k < CONV_W - 1; k++) before[k] = state[k];
        float v = __ldg(parameters + CONV_W) + __ldg(parameters + CONV_W - 1) * in;
#pragma unroll
        for (int k = 0; k < CONV_W - 1; k++) {
            v += __ldg(parameters + k) * before[k];
            state[k] = k + 1 < CONV_W - 1 ? before[k + 1] : in;
        }
        p.u[b * INNER + c] = from_float(v * sigmoid(v));
    }
}

#define LANES 4                                     // per channel
#define EACH_STATE ceil_div(STATES, LANES)
#define EACH_RANK ceil_div(RANK, LANES)
#define PER_BLOCK (256 / LANES)                     // channels

__device__ __forceinline__ float quad_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

#define WHOLE (STATES % (4 * LANES) == 0)
#define AHEAD (SEQUENCES < 2 ? SEQUENCES : 2)       // sequences whose states are asked for before they are needed

// This lane's states of a channel.
__device__ __forceinline__ void load_states(float (&h)[EACH_STATE], const float *from, bool there, int q) {
    if constexpr (WHOLE) {
#pragma unroll
        for (int n = 0; n < EACH_STATE; n += 4) *(float4 *) (h + n) = there ? *(const float4 *) (from + n) : make_float4(0.f, 0.f, 0.f, 0.f);
    } else {
#pragma unroll
        for (int n = 0; n < EACH_STATE; n++) h[n] = there && q * EACH_STATE + n < STATES ? from[n] : 0.f;
    }
}

// Grid (ceil(D / 64), ceil(B / SEQUENCES)), block 256.
extern "C" __global__ __launch_bounds__(256) void decode_state(const __grid_constant__ BatchParams p) {
    __shared__ __align__(16) float select[SEQUENCES][ceil_div(SELECT, 4) * 4];
    const int t = threadIdx.x, q = t % LANES, c = blockIdx.x * PER_BLOCK + t / LANES;
    const int first = blockIdx.y * SEQUENCES, count = min(SEQUENCES, p.batch - first);
    const bool there = c < INNER;
    float *states = p.h + ((i64) first * INNER + c) * STATES + q * EACH_STATE;
    float ahead[AHEAD][EACH_STATE];
#pragma unroll
    for (int s = 0; s < AHEAD; s++) load_states(ahead[s], states + (i64) s * INNER * STATES, there && s < count, q);
    float dt[EACH_RANK], a[EACH_STATE], bias = 0.f, skip = 0.f;
    const io_t *weights = p.dtProj + c * RANK_ROW + q * EACH_RANK;
    const float *own = p.channel + c * CHANNEL_ROW;
    if (RANK % (4 * LANES) == 0) {
#pragma unroll
        for (int r = 0; r < EACH_RANK; r += 4) {
            float four[4];
            unpack(load<4>(weights + r, there ? 4 : 0, there), four);
#pragma unroll
            for (int i = 0; i < 4; i++) dt[r + i] = four[i];
        }
    } else {
#pragma unroll
        for (int r = 0; r < EACH_RANK; r++) dt[r] = there && q * EACH_RANK + r < RANK ? to_float(weights[r]) : 0.f;
    }
    load_states(a, own + CONV_ROW + q * EACH_STATE, there, q);
    if (there) bias = __ldg(own + CONV_W + 1), skip = __ldg(own + CONV_W + 2);
    after_the_kernel_before();
    // A channel's inputs of sequence s are read by lane s % 4 and handed round.
    float us[ceil_div(SEQUENCES, LANES)], zs[ceil_div(SEQUENCES, LANES)];
#pragma unroll
    for (int i = 0; i < ceil_div(SEQUENCES, LANES); i++) {
        const int s = i * LANES + q;
        const i64 b = first + s;
        us[i] = there && s < count ? to_float(p.u[b * INNER + c]) : 0.f;
        zs[i] = there && s < count ? to_float(p.xz[b * 2 * INNER + INNER + c]) : 0.f;
    }
    for (int i = t; i < count * SELECT; i += 256)
        select[i / SELECT][i % SELECT] = to_float(p.select[(i64) (first + i / SELECT) * SELECT_ROW + i % SELECT]);
    __syncthreads();
#pragma unroll
    for (int s = 0; s < SEQUENCES; s++) {
        if (s >= count) break;
        float h[EACH_STATE], sum = 0.f, y = 0.f;
#pragma unroll
        for (int n = 0; n < EACH_STATE; n++) h[n] = ahead[s % AHEAD][n];
        if (s + AHEAD < SEQUENCES)
            load_states(ahead[s % AHEAD], states + (i64) (s + AHEAD) * INNER * STATES, there && s + AHEAD < count, q);
        const float u = __shfl_sync(0xffffffffu, us[s / LANES], (t & 28) + s % LANES);
        const float z = __shfl_sync(0xffffffffu, zs[s / LANES], (t & 28) + s % LANES);
        if constexpr (RANK % (4 * LANES) == 0) {
#pragma unroll
            for (int r = 0; r < EACH_RANK; r += 4) {
                const float4 x = *(const float4 *) (select[s] + q * EACH_RANK + r);
                sum += dt[r] * x.x + dt[r + 1] * x.y + dt[r + 2] * x.z + dt[r + 3] * x.w;
            }
        } else {
#pragma unroll
            for (int r = 0; r < EACH_RANK; r++)
                if (RANK % LANES == 0 || q * EACH_RANK + r < RANK) sum += dt[r] * select[s][q * EACH_RANK + r];
        }
        const float delta = softplus(quad_sum(sum) + bias), in = delta * u;
        float b[EACH_STATE], read[EACH_STATE];
        if constexpr (WHOLE && RANK % 4 == 0) {
            load_states(b, select[s] + RANK + q * EACH_STATE, true, q);
            load_states(read, select[s] + RANK + STATES + q * EACH_STATE, true, q);
        } else {
#pragma unroll
            for (int n = 0; n < EACH_STATE; n++) {
                const int at = min(RANK + q * EACH_STATE + n, SELECT - STATES - 1);
                b[n] = select[s][at], read[n] = select[s][at + STATES];
            }
        }
#pragma unroll
        for (int n = 0; n < EACH_STATE; n++) {
            if (STATES % LANES == 0 || q * EACH_STATE + n < STATES) {
                h[n] = h[n] * fast_exp2(delta * a[n]) + in * b[n];
                y += h[n] * read[n];
            }
        }
        y = quad_sum(y);
        if (!there) continue;
        if (q == 0) p.y[(i64) (first + s) * INNER + c] = from_float((y + skip * u) * z * sigmoid(z));
        float *to = states + (i64) s * INNER * STATES;
        if constexpr (WHOLE) {
#pragma unroll
            for (int n = 0; n < EACH_STATE; n += 4) *(float4 *) (to + n) = *(const float4 *) (h + n);
        } else {
#pragma unroll
            for (int n = 0; n < EACH_STATE; n++)
                if (q * EACH_STATE + n < STATES) to[n] = h[n];
        }
    }
}
