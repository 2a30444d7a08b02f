// The next token of each sequence of a batch, from its logits: the most likely, or a draw after temperature, top-k, top-p and
// min-p, as org.mamba4j.inference.Sampler defines them.
//
// Idea. All three filters keep the first so many tokens of the order "descending logit, then ascending index", so each is a
// place in that order: a logit and how many of the tokens with exactly that logit stay. The place is found without sorting,
// by a histogram over 256 even ranges of logits, of counts (top-k) or of probability (top-p), which says in which range the
// place lies, and then in that range by fixing 8 bits of the logit at a time. (Bits alone would not do: nearly all logits
// share the first 8, and additions to one place take their turns.) Probabilities are added up as integers (unit 2^-38), so the result does
// not depend on the order of addition, and a seed gives the same tokens in every run.
//
// The draw takes random bits from a counter: a hash of the sequence's seed and of the number of the token, so no state is
// kept and a sequence's tokens do not depend on the others of its batch.
//
// Launch: grid B, block 512.
#include "common.cuh"

typedef unsigned long long u64;

struct ChooseParams {
    const io_t *logits;                             // (B,row)
    int *tokens;                                    // (B): the choice; left alone for sequences that are done
    int *record;                                    // (steps,B): the choice, -1 for sequences that are done
    int *position;                                  // (B): the number of the token, counted up here
    int *done;                                      // (B): set where a stop token was chosen
    int *bad;                                       // set where a logit is NaN or infinite
    const int *stop;                                // (stops)
    const i64 *seeds;                               // (B)
    i64 row;                                        // elements between rows, a multiple of 8
    int batch, vocab, stops, topK;
    float temperature, topP, minP;                  // temperature 0: the most likely token, and nothing further
};

#define THREADS 512
#define WARPS (THREADS / 32)
#define UNIT 274877906944.                          // 2^38: 2^24 tokens of weight 1 still fit

__device__ __forceinline__ u32 ordered(float v) {
    const u32 bits = __float_as_uint(v);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float unordered(u32 key) { return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key); }

__device__ __forceinline__ u64 random_bits(u64 seed, u64 number) {
    u64 x = seed + (number + 1) * 0x9e3779b97f4a7c15ull;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
        x ^= x >> 31;
        x += seed;
    }
    return x;
}

struct Place {
    u32 key;                                        // all tokens above it stay,
    u64 ties;                                       // and so many of those on it
};

struct Row {
    const io_t *logits;
    int vocab;
    float best, rate, scale;                        // log2(e) / temperature; 256 / (best - least)

    // Ranges of logits, the greatest in 0. Rounding never takes a greater logit to a later range.
    __device__ int range(float logit) const { return (int) fminf((best - logit) * scale, 255.f); }

    __device__ u64 weight(float logit) const { return (u64) (UNIT * (double) exp2f((logit - best) * rate)); }
};

// use(index, logit) for the tokens of this thread: of a warp's turn, 8 neighbours a lane.
template <class Use>
__device__ __forceinline__ void each(const Row &row, Use use) {
    for (int i = threadIdx.x * 8; i < row.vocab; i += THREADS * 8) {
        float v[8];
        unpack(load8(row.logits + i, 8, true), v);
#pragma unroll
        for (int j = 0; j < 8; j++)
            if (i + j < row.vocab) use(i + j, v[j]);
    }
}

// The place where the sum over the tokens before and at it reaches `target`: of 1 each (MASS 0), or of their weights.
template <bool MASS>
__device__ Place place(const Row &row, u64 target, u64 *histogram) {
    __shared__ u32 nextKey;
    __shared__ u64 nextTarget;
    u32 key = 0;
    int within = 0;
    for (int shift = 32; shift >= 0; shift -= 8) {
        for (int i = threadIdx.x; i < 256; i += THREADS) histogram[i] = 0;
        __syncthreads();
        each(row, [&](int index, float logit) {
            const int range = row.range(logit);
            const u32 mine = ordered(logit);
            if (shift == 32 || (range == within && (shift == 24 || (mine ^ key) >> (shift + 8) == 0)))
                atomicAdd(histogram + (shift == 32 ? 255 - range : mine >> shift & 255), MASS ? row.weight(logit) : 1ull);
        });
        __syncthreads();
        if (threadIdx.x == 0) {
            u64 left = target;
            int bin = 255;
            while (bin > 0 && histogram[bin] < left) left -= histogram[bin--];
            nextKey = shift == 32 ? 255 - bin : key | (u32) bin << shift;
            nextTarget = left;
        }
        __syncthreads();
        if (shift == 32) within = nextKey;
        else key = nextKey;
        target = nextTarget;
        __syncthreads();
    }
    const u64 each_ = MASS ? row.weight(unordered(key)) : 1ull;
    return {key, each_ ? (target + each_ - 1) / each_ : ~0ull};
}

// Sum over the block; every thread gets it, and in `before` the sum over the threads before it.
__device__ u64 block_sum(u64 v, u64 &before) {
    __shared__ u64 sums[WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    u64 run = v;
#pragma unroll
    for (int i = 1; i < 32; i *= 2) {
        const u64 other = __shfl_up_sync(0xffffffffu, run, i);
        if (lane >= i) run += other;
    }
    __syncthreads();
    if (lane == 31) sums[warp] = run;
    __syncthreads();
    u64 total = 0;
    before = run - v;
    for (int i = 0; i < WARPS; i++) {
        if (i < warp) before += sums[i];
        total += sums[i];
    }
    return total;
}

__device__ int draw(const ChooseParams &p, const Row &row, u64 random, u64 *histogram) {
    __shared__ int choice;
    const u64 none = 0, all = ~none;
    u64 unused;
    Place limit = {0, all};
    if (p.topK > 0 && p.topK < row.vocab) limit = place<false>(row, p.topK, histogram);
    // Where threads own neighbouring tokens: ties are counted from the smallest index on.
    const int share = ceil_div(ceil_div(row.vocab, THREADS), 8) * 8;
    const int from = min(row.vocab, share * (int) threadIdx.x), to = min(row.vocab, from + share);
    auto neighbours = [&](auto use) {               // until it returns false
        for (int i = from; i < to; i += 8) {
            float v[8];
            unpack(load8(row.logits + i, 8, true), v);
#pragma unroll
            for (int j = 0; j < 8; j++)
                if (i + j < to && !use(i + j, v[j])) return;
        }
    };
    auto kept = [&](const Place &at, u64 tie, float logit) {
        const u32 key = ordered(logit);
        return key > at.key || (key == at.key && tie < at.ties);
    };
    auto ties_before = [&](u32 key) {
        u64 mine = 0, before;
        neighbours([&](int, float logit) {
            mine += ordered(logit) == key;
            return true;
        });
        block_sum(mine, before);
        return before;
    };
    const u64 least = p.minP > 0.f ? (u64) (UNIT * (double) p.minP) : 1;
    auto mass = [&](const Place &at, u64 tie, u64 floor) {
        u64 sum = 0;
        neighbours([&](int, float logit) {
            const u64 w = row.weight(logit);
            if (kept(at, tie, logit) && w >= floor) sum += w;
            tie += ordered(logit) == at.key;
            return true;
        });
        return sum;
    };
    u64 tie = limit.ties == all ? 0 : ties_before(limit.key);
    if (p.topP < 1.f) {
        const u64 total = block_sum(mass(limit, tie, 0), unused);
        const u64 target = (u64) ((double) p.topP * (double) total);
        const Place nucleus = place<true>(row, target > 0 ? target : 1, histogram);
        if (nucleus.key > limit.key || (nucleus.key == limit.key && nucleus.ties < limit.ties)) limit = nucleus;
        tie = ties_before(limit.key);
    }
    u64 before;
    const u64 mine = mass(limit, tie, least), total = block_sum(mine, before);
    const u64 at = __umul64hi(random, total);       // in [0, total)
    if (threadIdx.x == 0) choice = 0;
    __syncthreads();
    if (at >= before && at < before + mine) {
        u64 left = at - before;
        neighbours([&](int index, float logit) {
            const u64 w = row.weight(logit);
            const bool in = kept(limit, tie, logit) && w >= least;
            tie += ordered(logit) == limit.key;
            if (!in) return true;
            if (left < w) {
                choice = index;
                return false;
            }
            left -= w;
            return true;
        });
    }
    __syncthreads();
    return choice;
}

// Larger is better: the logit, then the smaller index.
__device__ __forceinline__ u64 candidate(float logit, int index) { return (u64) ordered(logit) << 32 | (u32) ~index; }

// The best candidate of this thread's tokens; `bad` where a logit is NaN or infinite. Several loads are under way at a time.
__device__ u64 most_likely(const io_t *logits, int vocab, bool &bad) {
    constexpr int AT_ONCE = 4, TURN = THREADS * 8;
    float best = -__int_as_float(0x7f800000);
    int index = threadIdx.x * 8;
    for (int i = index; i < vocab; i += AT_ONCE * TURN) {
        Packed8 packed[AT_ONCE];
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++)
            if (i + k * TURN < vocab) packed[k] = load8_if<true>(logits + i + k * TURN, 8, true);
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++) {
            if (i + k * TURN >= vocab) continue;
            float v[8];
            unpack(packed[k], v);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                const int at = i + k * TURN + j;
                if (at >= vocab) continue;
                bad |= !(fabsf(v[j]) < __int_as_float(0x7f800000)) && v[j] != -__int_as_float(0x7f800000);
                if (v[j] > best) best = v[j], index = at;
            }
        }
    }
    return index < vocab ? candidate(best, index) : 0;
}

extern "C" __global__ __launch_bounds__(THREADS) void decode_choose(const __grid_constant__ ChooseParams p) {
    __shared__ u64 bests[WARPS], histogram[256];
    const int b = blockIdx.x, t = threadIdx.x, lane = t % 32, warp = t / 32;
    __shared__ float leasts[WARPS];
    Row row = {p.logits + b * p.row, p.vocab, 0.f, 0.f, 0.f};
    float smallest = __int_as_float(0x7f800000);
    u64 best = 0;
    bool bad = false;
    if (p.temperature > 0.f)
        each(row, [&](int index, float logit) {
            bad |= !(fabsf(logit) < __int_as_float(0x7f800000)) && logit != -__int_as_float(0x7f800000);
            best = max(best, candidate(logit, index));
            if (logit > -__int_as_float(0x7f800000)) smallest = fminf(smallest, logit);
        });
    else
        best = most_likely(row.logits, row.vocab, bad);
#pragma unroll
    for (int i = 16; i; i /= 2) {
        best = max(best, __shfl_xor_sync(0xffffffffu, best, i));
        smallest = fminf(smallest, __shfl_xor_sync(0xffffffffu, smallest, i));
    }
    if (lane == 0) bests[warp] = best, leasts[warp] = smallest;
    if (bad) *p.bad = 1;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < WARPS; i++) best = max(best, bests[i]), smallest = fminf(smallest, leasts[i]);
    int token = ~(u32) best;
    row.best = unordered(best >> 32);
    if (p.temperature > 0.f && row.best == row.best) {
        row.rate = LOG2E / p.temperature;
        row.scale = row.best > smallest ? 256.f / (row.best - smallest) : 0.f;
        token = draw(p, row, random_bits(p.seeds[b], p.position[b]), histogram);
    }
    if (t == 0) {
        const int position = p.position[b];
        const bool over = p.done[b];
        p.record[(i64) position * p.batch + b] = over ? -1 : token;
        p.position[b] = position + 1;
        if (!over) {
            p.tokens[b] = token;
            for (int i = 0; i < p.stops; i++)
                if (p.stop[i] == token) p.done[b] = 1;
        }
    }
}
