// Generation for a batch, the first of a layer's three kernels: in_proj with the scale of RMSNorm, the convolution's step with
// silu, and each block's share of x_proj. bfloat16, float32 sums.
//
// Idea. At 128 sequences nothing of a layer takes long but to begin: so as few kernels as there are sums over all channels,
// three, and each begins, as far as it can without results, while the one before is at work: its weights are in shared memory
// by then (see Product). RMSNorm's scale is a factor of a row, so it is applied to in_proj's sums; the sums of squares come
// from decode_leave.cu in parts. A block that makes channels of x moves their convolutions on and multiplies them by their
// rows of x_proj at once; decode_recur.cu adds up these shares, in a fixed order.
//
// Launch: grid (2 D / IN_COLUMNS, ceil(B / IN_ROWS)), block 256, shared: decode_enter_geometry[2].
#include "decode_fused.cuh"

struct EnterParams {
    const io_t *normed;                             // (B,d): times the norm's weight, without its scale
    const float *squares;                           // (B,NORM_TILES), added up: sums of squares; null: the scale is in `normed`
    const io_t *weight, *xProj;                     // (2D,d), (D,SELECT_ROW)
    const float *channel;                           // (D,CHANNEL_ROW)
    float *conv;                                    // (B,D,K-1): read and written
    io_t *u, *z;                                    // (B,D)
    float *shares;                                  // (B,X_TILES,SELECT_ROW)
    int batch;
    float epsilon;
};

typedef Product<IN_ROWS, IN_COLUMNS, MODEL, false, 0> In;
typedef Shares<IN_ROWS, IN_COLUMNS / 4> Work;

constexpr int TILES = SELECT_ROW / 8, W_ROW = (TILES | 1) * 16, U_ROW = (IN_COLUMNS) * 2 + 16;
constexpr int U_AT = In::SUM_BYTES, W_AT = most(In::BYTES, U_AT + IN_ROWS * U_ROW);
constexpr int SCALE_LANES = 256 / IN_ROWS, SCALE_EACH = ceil_div(NORM_TILES, SCALE_LANES);

// For the host: rows and columns of a block, its dynamic shared memory, tiles of x, tiles of the sums of squares.
extern "C" __device__ int decode_enter_geometry[5] = {IN_ROWS, IN_COLUMNS, W_AT + (IN_COLUMNS) * W_ROW, X_TILES, NORM_TILES};

static_assert(CONV_W == 4 && INNER % (IN_COLUMNS) == 0 && (IN_COLUMNS) % 16 == 0, "three inputs of four channels are three times four floats");

// u of this block's channels, in shared memory, times their rows of x_proj.
__device__ __forceinline__ void multiply_shares(const EnterParams &p, const u8 *us, const u8 *ws, int firstRow, int rows) {
    constexpr int MT = IN_ROWS / 16, NS = 8 / MT, EACH = ceil_div(TILES, NS);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, m = warp % MT, firstTile = warp / MT * EACH;
    float sums[EACH][4];
#pragma unroll
    for (int n = 0; n < EACH; n++) sums[n][0] = sums[n][1] = sums[n][2] = sums[n][3] = 0.f;
#pragma unroll
    for (int k = 0; k < IN_COLUMNS; k += 16) {
        u32 a[4];
        load_matrices(a, us + (m * 16 + lane % 16) * U_ROW + (k + lane / 16 * 8) * 2);
#pragma unroll
        for (int n = 0; n < EACH; n++) {
            if (firstTile + n >= TILES) break;
            u32 b[2];
            asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                         : "=r"(b[0]), "=r"(b[1])
                         : "r"((u32) __cvta_generic_to_shared(ws + (k + lane % 16) * W_ROW + (firstTile + n) * 16))
                         : "memory");
            multiply(sums[n], a, b[0], b[1]);
        }
    }
#pragma unroll
    for (int n = 0; n < EACH; n++) {
        if (firstTile + n >= TILES) break;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = m * 16 + half * 8 + lane / 4;
            if (row < rows)
                __stcg((float2 *) (p.shares + ((i64) (firstRow + row) * X_TILES + blockIdx.x) * SELECT_ROW + (firstTile + n) * 8 + lane % 4 * 2),
                       make_float2(sums[n][2 * half], sums[n][2 * half + 1]));
        }
    }
}

extern "C" __global__ __launch_bounds__(256) void decode_enter(const __grid_constant__ EnterParams p) {
    extern __shared__ __align__(128) u8 memory[];
    __shared__ float scales[IN_ROWS];
    const int t = threadIdx.x, firstRow = blockIdx.y * IN_ROWS, rows = min(IN_ROWS, p.batch - firstRow);
    const bool gate = blockIdx.x >= X_TILES;
    const int first = (blockIdx.x - (gate ? X_TILES : 0)) * (IN_COLUMNS);   // channel
    let_start();
    In::fetch(memory, p.weight + (i64) ((gate ? INNER : 0) + first) * MODEL);
    if (!gate) {
        for (int i = t; i < IN_COLUMNS * TILES; i += 256)
            copy16(memory + W_AT + i / TILES * W_ROW + i % TILES * 16, p.xProj + (i64) (first + i / TILES) * SELECT_ROW + i % TILES * 8);
        asm volatile("cp.async.commit_group;" ::: "memory");
        constexpr int LINES = ceil_div((IN_COLUMNS) * 12, 128);
        for (int i = t; i < rows * LINES; i += 256)
            asm volatile("prefetch.global.L2 [%0];" ::"l"((const u8 *) (p.conv + ((i64) (firstRow + i / LINES) * INNER + first) * 3) + i % LINES * 128));
    }
    const int c = t % ((IN_COLUMNS) / 4) * 4, firstTurn = t / ((IN_COLUMNS) / 4);
    await_kernel();

    float squares[SCALE_EACH];
    const int line = t / SCALE_LANES;
#pragma unroll
    for (int i = 0; i < SCALE_EACH; i++) {
        const int at = i * SCALE_LANES + t % SCALE_LANES;
        squares[i] = p.squares && line < rows && at < NORM_TILES ? __ldcg(p.squares + (i64) (firstRow + line) * NORM_TILES + at) : 0.f;
    }
    In::Sums sums;
    In::make(sums, memory, p.normed + (i64) firstRow * MODEL, MODEL, rows);
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < SCALE_EACH; i++) sum += squares[i];
#pragma unroll
    for (int i = 1; i < SCALE_LANES; i *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, i);
    if (t % SCALE_LANES == 0) scales[line] = p.squares ? rsqrtf(sum / MODEL + p.epsilon) : 1.f;
    __syncthreads();                                // the weights are no longer needed
    float *room = (float *) memory;
    In::share(sums, room);
    float before[Work::TURNS][12], taps[4][4], bias[4];
    if (!gate && t < Work::THREADS) {
#pragma unroll
        for (int i = 0; i < Work::TURNS; i++) {
            const int row = firstTurn + i * Work::AT_ONCE;
            const float4 *from = (const float4 *) (p.conv + ((i64) (firstRow + min(row, rows - 1)) * INNER + first + c) * 3);
#pragma unroll
            for (int k = 0; k < 3; k++) *(float4 *) (before[i] + 4 * k) = from[k];
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const float *own = p.channel + (i64) (first + c + k) * CHANNEL_ROW;
            *(float4 *) taps[k] = __ldg((const float4 *) own);
            bias[k] = __ldg(own + CONV_W);
        }
    }
    __syncthreads();
    if (t < Work::THREADS) {
#pragma unroll
        for (int i = 0; i < Work::TURNS; i++) {
            const int row = firstTurn + i * Work::AT_ONCE;
            if (row >= rows) break;
            float v[4];
            *(float4 *) v = In::total(room, row, c);
#pragma unroll
            for (int k = 0; k < 4; k++) v[k] *= scales[row];
            const i64 at = (i64) (firstRow + row) * INNER + first + c;
            if (!gate) {
                float *b = before[i];
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    // As elsewhere, what the convolution sees is rounded.
                    const float now = to_float(from_float(v[k]));
                    v[k] = bias[k] + taps[k][0] * b[3 * k] + taps[k][1] * b[3 * k + 1] + taps[k][2] * b[3 * k + 2] + taps[k][3] * now;
                    b[3 * k] = b[3 * k + 1], b[3 * k + 1] = b[3 * k + 2], b[3 * k + 2] = now;
                    v[k] *= sigmoid(v[k]);
                }
#pragma unroll
                for (int k = 0; k < 3; k++) __stcg((float4 *) (p.conv + at * 3) + k, make_float4(b[4 * k], b[4 * k + 1], b[4 * k + 2], b[4 * k + 3]));
            }
            const Packed<4> packed = pack(v);
            __stcg((uint2 *) ((gate ? p.z : p.u) + at), make_uint2(packed.w[0], packed.w[1]));
            if (!gate) *(uint2 *) (memory + U_AT + row * U_ROW + c * 2) = make_uint2(packed.w[0], packed.w[1]);
        }
    }
    if (gate) return;
    __syncthreads();
    multiply_shares(p, memory + U_AT, memory + W_AT, firstRow, rows);
}
