// Which tokens of each sequence are noted, and from which chunk to which other each note stands in its layer's pool.
//
// The pool at the beginning of chunk c holds the K greatest keys among the noted tokens of the chunks before c. So a token
// enters at the chunk after its own and leaves for good once K noted tokens of complete chunks have greater keys: a note is
// visible in one interval of chunks, [enter, exit), and all intervals can be found at once, each by counting:
//
//   note_compact: a block per sequence puts its noted tokens side by side in reading order ("candidates");
//   note_exits:   a thread per candidate counts those with greater keys in reading order; with the K-th, it leaves.
//
// A key is the rank (importance, or infinity for a token noted for exploration) as an integer of the same order, and below
// it the position, so that of equal ranks the earlier stays. Counting is quadratic in the candidates of a sequence, but
// thresholds keep these at about 1.5 K; a loop over chunks would be linear and leave all but B multiprocessors idle.
//
// Capacity, thresholds and the like are read from the device, so that a recorded launch serves every step.
//
// Launch: note_compact: grid B, block 1,024; note_exits: grid (ceil(L / 64), B), block 64.
#include "vectors.cuh"

typedef unsigned long long u64;

#define INFINITE __uint_as_float(0x7f800000u)
#define SPLIT_GAMMA 0x9E3779B97F4A7C15ull

struct NoteControls {                               // MemoryControls in Java
    i64 capacity;                                   // K
    i64 dense;                                      // 1: every token is noted
    i64 explore;                                    // of 2^53 draws, how many note a token whatever its score
    i64 seed;                                       // of the first layer's draws; the next layer's is one more
    i64 quantile;                                   // the threshold moves to the so-manieth of the scores, the least the first
    double free_share;                              // mean gate up to which notes are free
    double price;                                   // factor of the price of notes
    double move;                                    // how much of the way the threshold moves
};

struct SelectParams {
    const NoteControls *controls;
    const float *score;                             // (B,L)
    const float *threshold;                         // (1)
    int *position;                                  // (B,L): of the candidates, in reading order
    u64 *key;                                       // (B,L)
    int *candidate;                                 // (B,L): number of a token among the candidates, or -1
    float *log_gate;                                // (B,L): log sigmoid of a candidate's score
    int *count;                                     // (B): candidates
    int *starts;                                    // (B,C): candidates before each chunk
    int *exit;                                      // (B,L): first chunk whose pool a candidate is not in any more
    int *last_exit;                                 // (B,ceil(L/64)): greatest exit of 64 candidates
    i64 *gradient;                                  // (B,L,S+1): zeroed for each candidate, see pool_read.cu
    i64 layer;                                      // number of the layer, for the draws
    int length;                                     // L
    int chunk;                                      // W
    int chunks;                                     // C
    int width;                                      // S + 1
    int fifo;                                       // 1: the newest have the greatest keys
    int unused;
};

// An integer that orders as the float does. NaN is not noted.
__device__ __forceinline__ u32 ordered(float x) {
    const u32 bits = __float_as_uint(x == 0.f ? 0.f : x);                    // the zeros are equal
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The draw number `index` of java.util.SplittableRandom(seed), as the 53 bits of its nextDouble.
__device__ __forceinline__ i64 draw(u64 seed, i64 index) {
    u64 z = seed + (u64) (index + 1) * SPLIT_GAMMA;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (i64) ((z ^ (z >> 31)) >> 11);
}

extern "C" __global__ __launch_bounds__(1024) void note_compact(const __grid_constant__ SelectParams p) {
    __shared__ int noted_by_warp[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const i64 row = (i64) blockIdx.x * p.length;
    const bool dense = p.controls->dense;
    const i64 explore = p.controls->explore;
    const u64 seed = (u64) (p.controls->seed + p.layer);
    const float threshold = *p.threshold;
    int before = 0;
    for (int first = 0; first < p.length; first += 1024) {
        const int t = first + threadIdx.x;
        const bool there = t < p.length;
        const float a = there ? p.score[row + t] : 0.f;
        const bool explored = there && explore && draw(seed, row + t) < explore;
        const bool noted = there && (explored || (dense ? a == a && a != -INFINITE : a > threshold));
        const u32 votes = __ballot_sync(0xffffffffu, noted);
        __syncthreads();                            // the last round's counts have been read
        if (lane == 0) noted_by_warp[warp] = __popc(votes);
        __syncthreads();
        int at = before, all = 0;
        for (int i = 0; i < 32; i++) {
            if (i < warp) at += noted_by_warp[i];
            all += noted_by_warp[i];
        }
        at += __popc(votes & ((1u << lane) - 1));
        before += all;
        if (there) {
            p.candidate[row + t] = noted ? at : -1;
            if (t % p.chunk == 0) p.starts[(i64) blockIdx.x * p.chunks + t / p.chunk] = at;
        }
        if (noted) {
            const u32 rank = p.fifo ? (u32) t : ordered(explored ? INFINITE : a);
            p.position[row + at] = t;
            p.key[row + at] = (u64) rank << 32 | (0xffffffffu - (u32) t);
            p.log_gate[row + at] = fminf(a, 0.f) - log1pf(expf(-fabsf(a)));
        }
    }
    if (threadIdx.x == 0) p.count[blockIdx.x] = before;
}

extern "C" __global__ __launch_bounds__(64) void note_exits(const __grid_constant__ SelectParams p) {
    __shared__ u64 keys[256];
    __shared__ int greatest[2];
    const int count = p.count[blockIdx.y];
    const int first = blockIdx.x * 64;
    if (first >= count) return;
    const i64 row = (i64) blockIdx.y * p.length;
    const int i = first + threadIdx.x;
    const bool there = i < count;
    const i64 capacity = p.controls->capacity;
    const int own = there ? p.position[row + i] / p.chunk : 0;
    int exit = there ? p.chunks + 1 : 0;
    if (count > capacity) {
        const u64 key = there ? p.key[row + i] : ~0ull;
        i64 greater = 0;
        int evictor = -1;
        for (int from = 0; from < count; from += 256) {
            __syncthreads();
            for (int j = threadIdx.x; j < 256; j += 64) keys[j] = from + j < count ? p.key[row + from + j] : 0;
            __syncthreads();
            const int end = min(256, count - from);
#pragma unroll 8
            for (int j = 0; j < end; j++) {
                greater += keys[j] > key;
                if (greater == capacity && evictor < 0) evictor = from + j;
            }
        }
        if (there && evictor >= 0) exit = max(own, p.position[row + evictor] / p.chunk) + 1;
    }
    if (there) p.exit[row + i] = exit;
    int most = exit;
#pragma unroll
    for (int bit = 1; bit < 32; bit *= 2) most = max(most, __shfl_xor_sync(0xffffffffu, most, bit));
    if (threadIdx.x % 32 == 0) greatest[threadIdx.x / 32] = most;
    __syncthreads();
    if (threadIdx.x == 0) p.last_exit[blockIdx.y * ceil_div(p.length, 64) + blockIdx.x] = max(greatest[0], greatest[1]);
    const i64 end = (row + min(first + 64, count)) * p.width;
    for (i64 at = (row + first) * p.width + threadIdx.x; at < end; at += 64) p.gradient[at] = 0;
}
