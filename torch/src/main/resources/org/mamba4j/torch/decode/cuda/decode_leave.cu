// Generation for a batch, the last of a layer's three kernels (see decode_enter.cu): out_proj, the residual, and what the next
// layer's RMSNorm needs: its weight times the residual, and the block's share of the sum of squares.
//
// Launch: grid (d / OUT_COLUMNS, ceil(B / OUT_ROWS)), block 256, shared: decode_leave_geometry[2].
#include "decode_fused.cuh"

struct LeaveParams {
    const io_t *y, *weight;                         // (B,D), (D,d)
    float *residual;                                // (B,d): read and written
    const float *norm;                              // (d): of the norm that follows
    io_t *normed;                                   // (B,d)
    float *squares;                                 // (B,NORM_TILES)
    int batch;
};

typedef Product<OUT_ROWS, OUT_COLUMNS, INNER, true, MODEL> Out;
typedef Shares<OUT_ROWS, OUT_COLUMNS / 4> Work;

// For the host: rows and columns of a block, its dynamic shared memory.
extern "C" __device__ int decode_leave_geometry[3] = {OUT_ROWS, OUT_COLUMNS, most(Out::BYTES, Out::SUM_BYTES)};

static_assert(MODEL % (OUT_COLUMNS) == 0, "whole blocks");

extern "C" __global__ __launch_bounds__(256) void decode_leave(const __grid_constant__ LeaveParams p) {
    extern __shared__ __align__(128) u8 memory[];
    __shared__ float squares[OUT_ROWS][(OUT_COLUMNS) / 4 + 1];
    const int t = threadIdx.x, firstRow = blockIdx.y * OUT_ROWS, rows = min(OUT_ROWS, p.batch - firstRow), first = blockIdx.x * (OUT_COLUMNS);
    const int quad = t % ((OUT_COLUMNS) / 4), c = first + quad * 4, firstTurn = t / ((OUT_COLUMNS) / 4);
    let_start();
    Out::fetch(memory, p.weight + first);
    float weight[4];
    *(float4 *) weight = __ldg((const float4 *) (p.norm + c));
    await_kernel();
    float4 residual[Work::TURNS];
#pragma unroll
    for (int i = 0; i < Work::TURNS; i++)
        residual[i] = __ldcg((const float4 *) (p.residual + (i64) (firstRow + min(firstTurn % OUT_ROWS + i * Work::AT_ONCE, rows - 1)) * MODEL + c));
    Out::Sums sums;
    Out::make(sums, memory, p.y + (i64) firstRow * INNER, INNER, rows);
    __syncthreads();                                // the weights are no longer needed
    float *room = (float *) memory;
    Out::share(sums, room);
    __syncthreads();
    if (t < Work::THREADS) {
#pragma unroll
        for (int i = 0; i < Work::TURNS; i++) {
            const int row = firstTurn + i * Work::AT_ONCE;
            if (row >= rows) break;
            const float4 sum = Out::total(room, row, quad * 4);
            const float x[4] = {residual[i].x + sum.x, residual[i].y + sum.y, residual[i].z + sum.z, residual[i].w + sum.w};
            const i64 at = (i64) (firstRow + row) * MODEL + c;
            __stcg((float4 *) (p.residual + at), make_float4(x[0], x[1], x[2], x[3]));
            squares[row][quad] = (x[0] * x[0] + x[1] * x[1]) + (x[2] * x[2] + x[3] * x[3]);
            float v[4];
#pragma unroll
            for (int k = 0; k < 4; k++) v[k] = x[k] * weight[k];
            const Packed<4> packed = pack(v);
            __stcg((uint2 *) (p.normed + at), make_uint2(packed.w[0], packed.w[1]));
        }
    }
    __syncthreads();
    if (t < rows) {
        float sum = 0.f;
#pragma unroll
        for (int k = 0; k < (OUT_COLUMNS) / 4; k++) sum += squares[t][k];
        p.squares[(i64) (firstRow + t) * NORM_TILES + blockIdx.x] = sum;
    }
}
