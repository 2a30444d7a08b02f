// Mamba generation for one sequence: a whole token, or many, in one kernel.
//
// Idea. At batch 1 a token reads every weight once and does next to nothing with it, so its floor is the weights over the
// memory's bandwidth; what stands above the floor is waiting: five dependent products a layer, each too small to fill a
// launch. So one kernel stays on all multiprocessors, and nothing in it waits for memory or for a barrier longer than it must:
//
//  - Tape. A block owns CHANNELS of the D channels, in every layer: their rows of in_proj, x_proj, dt_proj and out_proj,
//    their convolution, their state. So which weights it reads, in which order, is known beforehand: one thread does nothing
//    but copy them, in that order, into a ring of STAGES buffers in shared memory (bulk copies that report to mbarriers),
//    as far ahead as the ring allows. The memory is read on while the other threads wait for each other.
//  - Sums that count. Two things in a layer need all blocks: the inputs of dt, B and C (x_proj over all channels), and the
//    next residual (out_proj over all channels). Each block adds its share to a sum in device memory, in fixed point with
//    the number of shares in the lowest byte; who needs the sum reads it until all shares are in. No barrier, no flag, no
//    fence, one trip through the second-level cache; and integers add up to the same whatever the order, so a result does
//    not depend on timing. Sums are never cleared: a reader subtracts what it read the last time.
//    A share of layer l + 1 cannot arrive before everybody has read layer l: to make it, the block that sends it must have
//    seen the sum between, which has a share of everybody, sent after their reading.
//  - The residual is held by every block, redundantly; RMSNorm's scale is applied after in_proj, which is linear.
//
// Fixed point: 56 bits, unit 2^-30: absolute error 2^-31 a share, range +-2^25; a share beyond 2^24 or NaN raises `bad`.
//
// The greedy choice: each block publishes its best (logit, index) with the step's number; all read all.
//
// Launch: cooperative (all blocks must run at once), grid ceil(D / CHANNELS), block 32 (WARPS + 1),
// shared memory STAGES STAGE_BYTES.
#include "decode_tape.cuh"

// ---- one token -------------------------------------------------------------------------------------------------------

struct Shared {
    float x[CHUNKS * 256];                          // residual times the norm's weight
    float squares[WARPS], rows[2 * CHANNELS];
    float u[CHANNELS], z[CHANNELS], y[CHANNELS], select[SELECT];
    u64 best[WARPS];
    u64 full[STAGES], empty[STAGES];                // mbarriers
    int over;
};

// Products of `count` rows of d with x; row r belongs to warp r % WARPS. With PAIR, of as many rows of a second matrix too, in
// stages between those of the first: two sums at a time keep a warp busy. use(row, sum, other) is called by all its lanes.
template <bool PAIR, class Use>
__device__ __forceinline__ void products(Reader &ring, const float (&x)[CHUNKS][8], int count, int warp, int lane, Use use) {
    int mine = warp;
    for (int first = 0; first < count; first += STAGE_ROWS) {
        const u8 *a = ring.open(), *b = PAIR ? ring.open(1) : a;
        const int end = min(first + STAGE_ROWS, count);
        for (; mine < end; mine += WARPS) {
            const int row = (mine - first) * ROW_BYTES + lane * 8 * sizeof(io_t);
            float sum[2] = {0.f, 0.f}, other[2] = {0.f, 0.f};
#pragma unroll
            for (int i = 0; i < CHUNKS; i++) {
                if (MODEL % 256 == 0 || i * 256 + lane * 8 < MODEL) {
                    float v[8], w[8];
                    weights8(a + row + i * 256 * sizeof(io_t), v);
                    if (PAIR) weights8(b + row + i * 256 * sizeof(io_t), w);
#pragma unroll
                    for (int j = 0; j < 8; j++) {
                        sum[j % 2] += v[j] * x[i][j];
                        if (PAIR) other[j % 2] += w[j] * x[i][j];
                    }
                }
            }
            float one = sum[0] + sum[1], two = other[0] + other[1];
#pragma unroll
            for (int i = 16; i; i /= 2) {
                one += __shfl_xor_sync(0xffffffffu, one, i);
                if (PAIR) two += __shfl_xor_sync(0xffffffffu, two, i);
            }
            use(mine, one, two);
        }
        ring.close(lane);
        if (PAIR) ring.close(lane);
    }
}

// Larger is better: the logit, then the smaller index (within the block), then 16 bits of the step's number.
__device__ __forceinline__ u64 candidate(float logit, int index) {
    const u32 bits = __float_as_uint(logit);
    const u32 ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ((u64) ordered << 32) | ((u64) (0xffff - index) << 16);
}

__device__ __forceinline__ u64 max64(u64 a, u64 b) { return a > b ? a : b; }

extern "C" __global__ __launch_bounds__(THREADS + 32, 1) void decode_tokens(const __grid_constant__ TokenParams p) {
    extern __shared__ __align__(128) u8 stages[];
    __shared__ Shared s;
    const int t = threadIdx.x, lane = t % 32, warp = t / 32, blocks = gridDim.x;
    const int first = blockIdx.x * CHANNELS, valid = max(0, min(CHANNELS, INNER - first));
    const int headRows = ceil_div(p.vocab, blocks), headFirst = min(p.vocab, headRows * (int) blockIdx.x);
    const int headValid = min(headRows, p.vocab - headFirst);
    if (t == 0) {
        for (int i = 0; i < STAGES; i++) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(s.full + i)) : "memory");
            asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(s.empty + i)), "n"(WARPS) : "memory");
        }
        s.over = 0;
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    Ring ring = {shared_address(stages), shared_address(s.full), shared_address(s.empty), 0};
    if (warp == WARPS) {
        if (lane == 0) {
            Writer writer;
            *(Ring *) &writer = ring;
            writer.over = &s.over;
            writer.play(p, first, valid, headFirst, headValid);
            writer.finish();
        }
        return;
    }
    Reader tape;
    *(Ring *) &tape = ring;
    tape.stages = stages;

    u64 selectSeen = t < SELECT ? look(p.selectSums + SELECT_PLACE(t)) : 0, start[COLUMNS], seen[COLUMNS];
#pragma unroll
    for (int i = 0; i < COLUMNS; i++) seen[i] = i * THREADS + t < MODEL ? look(p.residualSums + RESIDUAL_PLACE(i * THREADS + t)) : 0;
    for (int i = t; i < CHUNKS * 256; i += THREADS) s.x[i] = 0.f;
    meet();

    int token = p.tokens[0], step = 0;
    float weight[COLUMNS];
#pragma unroll
    for (int i = 0; i < COLUMNS; i++) weight[i] = i * THREADS + t < MODEL ? __ldg(p.norm + i * THREADS + t) : 0.f;

    // The residual after `layer` layers to shared memory, times the weight of the norm that follows; returns its scale.
    float x[CHUNKS][8];
    auto normalised = [&](int layer) {
        float squares = 0.f;
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
            const int column = i * THREADS + t;
            if (MODEL % THREADS == 0 || column < MODEL) {
                if (layer > 0) {
                    seen[i] = complete(p.residualSums + RESIDUAL_PLACE(column), seen[i], blocks);
                }
                const float residual = value(seen[i] - start[i], layer * blocks);
                squares += residual * residual;
                s.x[column] = residual * weight[i];
            }
        }
        squares = warp_sum(squares);
        if (lane == 0) s.squares[warp] = squares;
        meet();
        float total = 0.f;
#pragma unroll
        for (int i = 0; i < WARPS; i++) total += s.squares[i];
#pragma unroll
        for (int i = 0; i < CHUNKS; i++) {
            *(float4 *) (x[i]) = *(const float4 *) (s.x + i * 256 + lane * 8);
            *(float4 *) (x[i] + 4) = *(const float4 *) (s.x + i * 256 + lane * 8 + 4);
        }
        const int next = layer < p.layers ? layer + 1 : 0; // the norm after this one
#pragma unroll
        for (int i = 0; i < COLUMNS; i++)
            if (MODEL % THREADS == 0 || i * THREADS + t < MODEL) weight[i] = __ldg(p.norm + (i64) next * MODEL + i * THREADS + t);
        return rsqrtf(total / MODEL + p.epsilon);
    };

    for (; step < p.steps; step++) {
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
            const float embedded = i * THREADS + t < MODEL ? to_float(p.embedding[(i64) token * MODEL + i * THREADS + t]) : 0.f;
            start[i] = seen[i] - fixed(embedded, p.result);
        }
        for (int layer = 0; layer < p.layers; layer++) {
            // What this block remembers, asked for early.
            float before[CONV_W > 1 ? CONV_W - 1 : 1], h[WARP_CHANNELS][LANE_STATES];
            float *conv = p.conv + layer * p.convLayer + (i64) (first + t) * (CONV_W - 1);
            float *states = p.h + layer * p.hLayer + (i64) first * STATES;
            if (t < valid)
#pragma unroll
                for (int k = 0; k < CONV_W - 1; k++) before[k] = conv[k];
#pragma unroll
            for (int i = 0; i < WARP_CHANNELS; i++)
#pragma unroll
                for (int j = 0; j < LANE_STATES; j++) {
                    const int c = warp + i * WARPS, n = lane + j * 32;
                    h[i][j] = c < valid && n < STATES ? states[c * STATES + n] : 0.f;
                }

            const float scale = normalised(layer);
            products<true>(tape, x, valid, warp, lane, [&](int row, float in, float gate) {
                if (lane == 0) s.rows[row] = in * scale, s.rows[CHANNELS + row] = gate * scale;
            });
            meet();
            const u8 *small = tape.open();
            const float *channel = (const float *) (small + SMALL_CHANNEL);
            if (t < valid) {
                const float *w = channel + t * CHANNEL_ROW;
                const float in = s.rows[t], z = s.rows[CHANNELS + t];
                float v = w[CONV_W] + w[CONV_W - 1] * in;
#pragma unroll
                for (int k = 0; k < CONV_W - 1; k++) {
                    v += w[k] * before[k];
                    conv[k] = k + 1 < CONV_W - 1 ? before[k + 1] : in;
                }
                s.u[t] = v * sigmoid(v);
                s.z[t] = z * sigmoid(z);
            }
            meet();
            if (t < SELECT) {
                const io_t *w = (const io_t *) small + t;
                float sum = 0.f;
#pragma unroll CHANNELS_AT_ONCE
                for (int c = 0; c < valid; c++) sum += s.u[c] * to_float(w[c * SELECT_ROW]);
                add_share(p.selectSums + SELECT_PLACE(t), sum, p.result);
                const u64 now = complete(p.selectSums + SELECT_PLACE(t), selectSeen, blocks);
                s.select[t] = value(now - selectSeen, blocks);
                selectSeen = now;
            }
            meet();
#pragma unroll
            for (int i = 0; i < WARP_CHANNELS; i++) {
                const int c = warp + i * WARPS;
                if (c < valid) {
                    const io_t *w = (const io_t *) (small + SMALL_DT) + c * RANK_ROW;
                    const float *own = channel + c * CHANNEL_ROW;
                    float dt = 0.f, y = 0.f;
#pragma unroll
                    for (int r = lane * 2; r < RANK; r += 64) {
                        dt += to_float(w[r]) * s.select[r];
                        if (r + 1 < RANK) dt += to_float(w[r + 1]) * s.select[r + 1];
                    }
                    const float delta = softplus(warp_sum(dt) + own[CONV_W + 1]), in = delta * s.u[c];
#pragma unroll
                    for (int j = 0; j < LANE_STATES; j++) {
                        const int n = lane + j * 32;
                        if (n < STATES) {
                            h[i][j] = h[i][j] * fast_exp2(delta * own[CONV_ROW + n]) + in * s.select[RANK + n];
                            y += h[i][j] * s.select[RANK + STATES + n];
                            states[c * STATES + n] = h[i][j];
                        }
                    }
                    y = warp_sum(y);
                    if (lane == 0) s.y[c] = (y + own[CONV_W + 2] * s.u[c]) * s.z[c];
                }
            }
            tape.close(lane);
            meet();
            float sums[COLUMNS];
#pragma unroll
            for (int i = 0; i < COLUMNS; i++) sums[i] = 0.f;
            for (int c = 0; c < valid; c += STAGE_ROWS) {
                const io_t *w = (const io_t *) tape.open() + t;
                const int end = min(STAGE_ROWS, valid - c);
#pragma unroll ROWS_AT_ONCE
                for (int r = 0; r < end; r++) {
                    const float y = s.y[c + r];
#pragma unroll
                    for (int i = 0; i < COLUMNS; i++)
                        if (MODEL % THREADS == 0 || i * THREADS + t < MODEL) sums[i] += y * to_float(w[r * MODEL + i * THREADS]);
                }
                tape.close(lane);
            }
#pragma unroll
            for (int i = 0; i < COLUMNS; i++)
                if (MODEL % THREADS == 0 || i * THREADS + t < MODEL)
                    add_share(p.residualSums + RESIDUAL_PLACE(i * THREADS + t), sums[i], p.result);
        }

        const float scale = normalised(p.layers);
        if (step == p.steps - 1 && blockIdx.x == 0)
            for (int i = t; i < MODEL; i += THREADS) p.hidden[i] = s.x[i] * scale;
        if (!p.choose) {
            meet(); // before x is overwritten
            token = step + 1 < p.steps ? p.tokens[step + 1] : 0;
            continue;
        }
        u64 best = 0;
        products<false>(tape, x, headValid, warp, lane, [&](int row, float sum, float) {
            const float logit = sum * scale;
            if (p.logits && lane == 0) p.logits[headFirst + row] = logit;
            if (!(fabsf(logit) < __int_as_float(0x7f800000))) p.result[1] = 1;
            best = max64(best, candidate(logit, row));
        });
        if (p.choose == LOGITS) continue;
        if (lane == 0) s.best[warp] = best;
        meet();
        const u32 epoch = (p.epoch + step) & 0xffff;
        if (t == 0) {
#pragma unroll
            for (int i = 1; i < WARPS; i++) best = max64(best, s.best[i]);
            asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(p.best + blockIdx.x), "l"(best | epoch) : "memory");
        }
        // Every warp finds the winner: the greatest logit, the first block of those that have it.
        u64 winner = 0;
        int owner = 0;
        for (int b = lane; b < blocks; b += 32) {
            u64 other;
            do other = look(p.best + b);
            while ((u32) (other & 0xffff) != epoch);
            if ((other >> 32) > (winner >> 32)) winner = other, owner = b;
        }
#pragma unroll
        for (int i = 16; i; i /= 2) {
            const u64 other = __shfl_xor_sync(0xffffffffu, winner, i);
            const int block = __shfl_xor_sync(0xffffffffu, owner, i);
            const bool better = (other >> 32) > (winner >> 32) || ((other >> 32) == (winner >> 32) && block < owner);
            if (better) winner = other, owner = block;
        }
        token = owner * headRows + 0xffff - (int) ((winner >> 16) & 0xffff);
        if (blockIdx.x == 0 && t == 0) p.tokens[step + 1] = token;
        bool stop = false;
        for (int i = 0; i < p.stops; i++) stop |= token == __ldg(p.stop + i);
        if (stop) {
            step++;
            break;
        }
    }
    if (t == 0) *(volatile int *) &s.over = 1;
    if (blockIdx.x == 0 && t == 0) p.result[0] = step;
}
