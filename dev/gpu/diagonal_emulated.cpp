// The kernels of diagonal.cu, emulated: diagonal_emulated IN OUT REVERSED START reads what diagonal.py writes, and writes all results.
// What kernels write begins as NaN.
#include "emulator.h"

#include "diagonal.cu"

static FILE *in, *out;

static std::vector<float> input(size_t count) {
    std::vector<float> values(count);
    if (fread(values.data(), 4, count, in) != count) emulator::stop("the input ends too early");
    return values;
}

static std::vector<float> room(size_t count) { return std::vector<float>(count, NAN); }

static void output(const std::vector<float> &values) { fwrite(values.data(), 4, values.size(), out); }

int main(int, char **arguments) {
    in = fopen(arguments[1], "rb"), out = fopen(arguments[2], "wb");
    emulator::reversed = atoi(arguments[3]);
    int sizes[3];
    if (fread(sizes, 4, 3, in) != 3) emulator::stop("no sizes");
    const size_t B = sizes[0], L = sizes[1], D = sizes[2];
    const int chunks = ceil_div(L, diagonal_geometry[1]), blocks = ceil_div(D, 32);
    const size_t steps = B * L * D, state = B * D * N, perChunk = chunks * state;
    const auto u = input(steps), delta = input(steps), rate = input(D * MODES), frequency = input(COMPLEX ? D * MODES : 0),
               b = input(B_TOKEN ? B * L * N : D * N), c = input(C_TOKEN ? B * L * N : D * N), start = input(state), dy = input(steps);
    auto y = room(steps), last = room(state), sums = room(B * chunks * D), ends = room(perChunk), back = room(perChunk), du = room(steps),
         ddelta = room(steps), da = room(perChunk), db = room(B_TOKEN ? blocks * B * L * N : perChunk),
         dc = room(C_TOKEN ? blocks * B * L * N : perChunk), dstart = room(state);

    DiagonalParams p{};
    p.u = u.data(), p.delta = delta.data(), p.rate = rate.data(), p.frequency = frequency.data(), p.b = b.data(), p.c = c.data();
    p.start = atoi(arguments[4]) ? start.data() : nullptr;
    p.y = y.data(), p.last = last.data(), p.sums = sums.data(), p.ends = ends.data();
    p.L = L, p.B = B, p.D = D, p.chunks = chunks, p.blocks = blocks;
    const int states = ceil_div(B * D * MODES, diagonal_geometry[2]);
    emulator::launch(diagonal_ends, blocks * chunks, B, diagonal_geometry[0], p);
    emulator::launch(diagonal_carry, states, 1, diagonal_geometry[2], p);
    emulator::launch(diagonal_scan, blocks * chunks, B, diagonal_geometry[0], p);
    p.dy = dy.data(), p.back = back.data(), p.du = du.data(), p.ddelta = ddelta.data();
    p.da = da.data(), p.db = db.data(), p.dc = dc.data(), p.dstart = dstart.data();
    emulator::launch(diagonal_back_ends, blocks * chunks, B, diagonal_geometry[0], p);
    emulator::launch(diagonal_back_carry, states, 1, diagonal_geometry[2], p);
    emulator::launch(diagonal_back, blocks * chunks, B, diagonal_geometry[0], p);
    for (const auto &result : {y, last, du, ddelta, da, db, dc, dstart}) output(result);
    fclose(out);
}
