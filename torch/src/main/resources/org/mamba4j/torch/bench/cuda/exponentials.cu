// How many exponentials a second the special-function units give: eight independent chains per thread, nothing else in
// the loop. Each chain is x <- 2^-x, which ends at 0.6412 from anywhere, so that the answer can be checked.
struct Params {
    float *ends; // one per thread: start of its chains on entry, their mean on return
    int rounds;
};

extern "C" __global__ void __launch_bounds__(256) exponentials(const __grid_constant__ Params p) {
    const int at = blockIdx.x * 256 + threadIdx.x;
    float x[8];
#pragma unroll
    for (int k = 0; k < 8; k++) x[k] = p.ends[at] + 0.1f * k;
#pragma unroll 4
    for (int i = 0; i < p.rounds; i++) {
#pragma unroll
        for (int k = 0; k < 8; k++) asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=f"(x[k]) : "f"(-x[k]));
    }
    float sum = 0;
#pragma unroll
    for (int k = 0; k < 8; k++) sum += x[k];
    p.ends[at] = sum / 8;
}
