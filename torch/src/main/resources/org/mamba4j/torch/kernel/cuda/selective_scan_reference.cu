// Selective scan as written in the papers: one thread per batch and channel, every step in order, in double. The fast
// kernels are checked against these; nothing else uses them.
//
// Same parameters as the fast kernels, with three differences: activations are float32 (compile with IO_BF16=0);
// backward needs `ends` as double (batch,L,D,N) for the states; gradients that are sums over threads (dB, dC contiguous
// (batch,L,N), dA, dskip, dbias) are double, zeroed by the caller.
//
// Launch: grid (ceil(D / 32), batch), block 32. `states` and `splits` are ignored.
#include "selective_scan.cuh"

struct Step {
    double u, z, raw, delta, gate;
    bool begins;
};

__device__ Step step_at(const ScanParams &p, i64 b, i64 t, int d) {
    Step s;
    s.u = p.u[b * p.uB + t * p.uL + d];
    s.raw = (double) p.delta[b * p.deltaB + t * p.deltaL + d] + (p.bias ? p.bias[d] : 0.f);
    s.delta = p.softplus && s.raw < 40 ? log1p(exp(s.raw)) : s.raw;
    s.z = p.z ? p.z[b * p.zB + t * p.zL + d] : 0;
    s.gate = p.z ? 1 / (1 + exp(-s.z)) : 0;
    s.begins = p.reset && p.reset[b * p.L + t];
    return s;
}

// Runs forward; keeps every state in `all` where that is given.
__device__ void run(const ScanParams &p, i64 b, int d, double *all) {
    double h[STATES];
    for (int n = 0; n < STATES; n++) h[n] = p.h0 ? p.h0[(b * p.D + d) * STATES + n] : 0;
    for (i64 t = 0; t < p.L; t++) {
        const Step s = step_at(p, b, t, d);
        double y = p.skip ? p.skip[d] * s.u : 0;
        for (int n = 0; n < STATES; n++) {
            const double a = exp(s.delta * p.A[(i64) d * STATES + n]);
            h[n] = (s.begins ? 0 : a * h[n]) + s.delta * s.u * p.B[b * p.bB + t * p.bL + n];
            y += h[n] * p.C[b * p.cB + t * p.cL + n];
            if (all) all[((b * p.L + t) * p.D + d) * STATES + n] = h[n];
        }
        if (!all) p.out[b * p.outB + t * p.outL + d] = from_float((float) (p.z ? y * s.z * s.gate : y));
    }
    if (p.hLast && !all)
        for (int n = 0; n < STATES; n++) p.hLast[(b * p.D + d) * STATES + n] = (float) h[n];
}

extern "C" __global__ void selective_scan_reference_forward(const __grid_constant__ ScanParams p) {
    const int d = blockIdx.x * 32 + threadIdx.x;
    if (d < p.D) run(p, blockIdx.y, d, nullptr);
}

extern "C" __global__ void selective_scan_reference_backward(const __grid_constant__ ScanParams p) {
    const int d = blockIdx.x * 32 + threadIdx.x;
    const i64 b = blockIdx.y;
    if (d >= p.D) return;
    double *all = (double *) p.ends;
    run(p, b, d, all);
    double g[STATES];
    for (int n = 0; n < STATES; n++) g[n] = p.dhLast ? p.dhLast[(b * p.D + d) * STATES + n] : 0;
    for (i64 t = p.L - 1; t >= 0; t--) {
        const Step s = step_at(p, b, t, d);
        const double dout = p.dout[b * p.doutB + t * p.doutL + d], dy = p.z ? dout * s.z * s.gate : dout;
        double y = p.skip ? p.skip[d] * s.u : 0, dx = 0, ddelta = 0;
        for (int n = 0; n < STATES; n++) {
            const double A = p.A[(i64) d * STATES + n], B = p.B[b * p.bB + t * p.bL + n], C = p.C[b * p.cB + t * p.cL + n];
            const double h = all[((b * p.L + t) * p.D + d) * STATES + n];
            const double before = s.begins ? 0 : t ? all[((b * p.L + t - 1) * p.D + d) * STATES + n]
                                    : p.h0 ? p.h0[(b * p.D + d) * STATES + n] : 0;
            const double a = exp(s.delta * A);
            y += C * h;
            g[n] += dy * C;
            atomicAdd((double *) p.dC + (b * p.L + t) * STATES + n, dy * h);
            atomicAdd((double *) p.dB + (b * p.L + t) * STATES + n, g[n] * s.delta * s.u);
            dx += g[n] * B;
            g[n] = s.begins ? 0 : g[n] * a;
            ddelta += g[n] * before * A;
            atomicAdd((double *) p.dA + (i64) d * STATES + n, g[n] * before * s.delta);
        }
        const double slope = p.softplus ? 1 / (1 + exp(-s.raw)) : 1, draw = (ddelta + dx * s.u) * slope;
        p.du[b * p.duB + t * p.duL + d] = from_float((float) (dx * s.delta + (p.skip ? p.skip[d] * dy : 0)));
        p.ddelta[b * p.ddeltaB + t * p.ddeltaL + d] = from_float((float) draw);
        if (p.z) p.dz[b * p.dzB + t * p.dzL + d] = from_float((float) (dout * y * s.gate * (1 + s.z * (1 - s.gate))));
        if (p.dskip) atomicAdd((double *) p.dskip + d, dy * s.u);
        if (p.dbias) atomicAdd((double *) p.dbias + d, draw);
    }
    if (p.dh0)
        for (int n = 0; n < STATES; n++) p.dh0[(b * p.D + d) * STATES + n] = (float) g[n];
}
