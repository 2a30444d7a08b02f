"""Checks and times the kernels of the diagonal scan (diagonal.cu): real and complex A, B and C of the token or of the channel.

    python3 dev/gpu/diagonal.py emulate [M …]    on the CPU, as C++ (emulator.h; needs g++ and numpy, no GPU), with the address sanitizer
    python3 dev/gpu/diagonal.py check [M …]      on the GPU; both against the recurrence in float64, every result and gradient
    python3 dev/gpu/diagonal.py bench            microseconds of a forward and of a backward pass, sums of the parts included

The Java side is compared by the test CudaDiagonalScanTest (tag gpu). -Dmamba4j.diagonal.cuda=false switches the kernels off there: then
a training step can be timed with and without them.
"""
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "torch/src/main/resources/org/mamba4j/torch/kernel/cuda"
CHUNK = 64
SHAPES = ((1, 1, 1), (3, 7, 5), (1, 64, 33), (2, 65, 5), (2, 300, 33), (3, 1, 33), (2, 129, 64))
LONG = (1, 1100, 3)                                         # more chunks than the carry asks for at once
TOLERANCE = {"emulate": 2e-5, "check": 5e-5}                # of the greatest value of a result
NAMES = "y last du ddelta da db dc dstart".split()


def recurrence(u, dt, a, b, c, h, dy, times):
    """As it is written, step by step. b and c: (B,L,M) or (D,M)."""
    def of(x, t):
        return x[:, t][:, None, :] if x.ndim == 3 else x[None]

    def add(x, t, part):
        if x.ndim == 3:
            x[:, t] = part.sum(1)
        else:
            x += part.sum(0)

    states, decays, y = [h], [], np.zeros_like(u)
    for t in range(u.shape[1]):
        decays.append(np.exp(dt[:, t, :, None] * a))
        states.append(decays[t] * states[t] + (dt[:, t] * u[:, t])[:, :, None] * of(b, t))
        y[:, t] = times * np.real((of(c, t) * states[-1]).sum(-1))
    k, du, ddelta, da, db, dc = np.zeros_like(h), np.zeros_like(u), np.zeros_like(u), np.zeros_like(a), np.zeros_like(b), np.zeros_like(c)
    for t in reversed(range(u.shape[1])):
        g = times * dy[:, t, :, None]
        dh = g * np.conj(of(c, t)) + k
        e = dh * np.conj(decays[t] * states[t])
        written = np.real((dh * np.conj(of(b, t))).sum(-1))
        du[:, t] = written * dt[:, t]
        ddelta[:, t] = np.real((e * np.conj(a)).sum(-1)) + written * u[:, t]
        da = da + (e * dt[:, t, :, None]).sum(0)
        add(db, t, dh * (dt[:, t] * u[:, t])[:, :, None])
        add(dc, t, g * np.conj(states[t + 1]))
        k = np.conj(decays[t]) * dh
    return y, states[-1], du, ddelta, da, db, dc, k


class Case:
    def __init__(self, shape, modes, cplx, b_token, c_token, start=True, seed=0):
        self.shape, self.modes, self.cplx, self.b_token, self.c_token, self.start = shape, modes, cplx, b_token, c_token, start
        B, L, D = shape
        self.N = modes * (2 if cplx else 1)
        self.chunks, self.blocks = -(-L // CHUNK), -(-D // 32)
        r = np.random.default_rng(seed)
        normal = r.standard_normal
        inputs = (normal((B, L, D)), np.exp(r.uniform(np.log(1e-3), 0, (B, L, D))), -r.uniform(.1, 3, (D, modes)),
                  r.uniform(-4, 4, (D, modes)) if cplx else np.zeros(0), normal((B, L, self.N) if b_token else (D, self.N)),
                  normal((B, L, self.N) if c_token else (D, self.N)), normal((B, D, self.N)) * start, normal((B, L, D)))
        self.inputs = [x.astype(np.float32) for x in inputs]
        self.macros = dict(IO_BF16=0, MODES=modes, COMPLEX=int(cplx), B_TOKEN=int(b_token), C_TOKEN=int(c_token))

    def __str__(self):
        return f"{self.shape}, {self.modes} modes, complex {self.cplx}, of the token {self.b_token} {self.c_token}, start {self.start}"

    def shapes(self):
        """Of the results, parts not added up."""
        B, L, D = self.shape
        per_chunk, per_block = (B, self.chunks, D, self.N), (self.blocks, B, L, self.N)
        return [(B, L, D), (B, D, self.N), (B, L, D), (B, L, D), per_chunk, per_block if self.b_token else per_chunk,
                per_block if self.c_token else per_chunk, (B, D, self.N)]

    def added(self, results):
        y, last, du, ddelta, da, db, dc, dstart = results
        return (y, last, du, ddelta, da.sum((0, 1)), db.sum(0) if self.b_token else db.sum((0, 1)),
                dc.sum(0) if self.c_token else dc.sum((0, 1)), dstart)

    def wanted(self):
        u, dt, rate, frequency, b, c, h, dy = (x.astype(np.float64) for x in self.inputs)
        modes = (lambda x: x[..., 0::2] + 1j * x[..., 1::2]) if self.cplx else (lambda x: x)
        results = recurrence(u, dt, rate + 1j * frequency if self.cplx else rate, modes(b), modes(c), modes(h), dy, 2 if self.cplx else 1)
        return [np.stack([x.real, x.imag], -1).reshape(*x.shape[:-1], -1) if np.iscomplexobj(x) else x for x in results]

    def error(self, results, tolerance):
        """The greatest of all results' errors; says which are too great."""
        worst = 0
        for name, got, want in zip(NAMES, self.added(results), self.wanted()):
            assert got.shape == want.shape, (name, got.shape, want.shape)
            error = np.abs(got - want).max() / max(np.abs(want).max(), .1)     # .1: a single value may cancel
            if not error < tolerance:                               # NaN counts as wrong
                print(f"WRONG {name} by {error:.1e}: {self}")
            worst = max(worst, np.nan_to_num(error, nan=np.inf))
        return worst


def emulated(case, folder, reverse):
    name = pathlib.Path(folder) / ("kernels" + "_".join(str(v) for v in case.macros.values()))
    if not name.exists():
        subprocess.run(["g++", "-std=c++17", "-O1", "-g", "-w", "-fsanitize=address,undefined", f"-I{SOURCES}", str(HERE / "diagonal_emulated.cpp"),
                        "-o", str(name)] + [f"-D{k}={v}" for k, v in case.macros.items()], check=True)
    given, made = f"{folder}/in", f"{folder}/out"
    with open(given, "wb") as file:
        np.array(case.shape, np.int32).tofile(file)
        for x in case.inputs:
            x.tofile(file)
    subprocess.run([str(name), given, made, str(int(reverse)), str(int(case.start))], check=True, stderr=None if "-v" in sys.argv else subprocess.PIPE,
                   env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=0"))
    flat, at, results = np.fromfile(made, np.float32).astype(np.float64), 0, []
    for shape in case.shapes():
        count = int(np.prod(shape))
        results.append(flat[at:at + count].reshape(shape))
        at += count
    assert at == len(flat)
    return results


class OnGpu:
    def __init__(self, case):
        import torch
        from loader import Module, struct
        self.module = Module.of("diagonal", RESETS=0, **case.macros)
        self.threads, chunk, self.carry_threads = self.module.ints("diagonal_geometry", 3)
        assert chunk == CHUNK
        B, L, D = case.shape
        self.case, self.grid = case, (case.blocks * case.chunks, B, 1)
        self.inputs = [torch.tensor(x, device="cuda") for x in case.inputs]
        self.results = [torch.full(s, float("nan"), device="cuda") for s in case.shapes()]
        self.scratch = [torch.full(s, float("nan"), device="cuda") for s in
                        ((B, case.chunks, D), (B, case.chunks, D, case.N), (B, case.chunks, D, case.N))]
        self.params = struct("DiagonalParams", "u delta rate frequency b c start y last sums ends dy back du ddelta da db dc dstart", "L",
                             "B D chunks blocks")()
        y, last, *gradients = self.results
        sums, ends, back = self.scratch
        pointers = [*self.inputs[:6], self.inputs[6] if case.start else None, y, last, sums, ends, self.inputs[7], back, *gradients]
        for (name, _), tensor in zip(self.params._fields_, pointers):
            setattr(self.params, name, tensor.data_ptr() if tensor is not None and tensor.numel() else None)
        self.params.L, self.params.B, self.params.D, self.params.chunks, self.params.blocks = L, B, D, case.chunks, case.blocks

    def launch(self, *names):
        B, _, D = self.case.shape
        for name in names:
            if name.endswith("carry"):
                self.module.launch(name, (-(-B * D * self.case.modes // self.carry_threads), 1, 1), self.carry_threads, self.params)
            else:
                self.module.launch(name, self.grid, self.threads, self.params)

    def forward(self):
        self.launch("diagonal_ends", "diagonal_carry", "diagonal_scan")

    def backward(self):
        self.launch("diagonal_back_ends", "diagonal_back_carry", "diagonal_back")
        return self.case.added(self.results)


def on_gpu(case):
    """Twice: the same bits."""
    import torch
    runs = []
    for _ in range(2):
        run = OnGpu(case)
        run.forward()
        run.backward()
        torch.cuda.synchronize()
        runs.append([r.double().cpu().numpy() for r in run.results])
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*runs)), case
    return runs[0]


def check(how, all_modes):
    worst, count, wrong = 0.0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for modes, cplx, b_token, c_token in itertools.product(all_modes, (False, True), (False, True), (False, True)):
            for i, shape in enumerate(SHAPES + ((LONG,) if modes <= 4 else ())):
                if how == "emulate" and modes > 17 and shape[1] * shape[2] > 5000:
                    continue                                        # minutes
                case = Case(shape, modes, cplx, b_token, c_token, start=i % 2 == 0, seed=100 * modes + i)
                error = case.error(emulated(case, folder, i // 2 % 2) if how == "emulate" else on_gpu(case), TOLERANCE[how])
                worst, count, wrong = max(worst, error), count + 1, wrong + (not error < TOLERANCE[how])
    print(f"{count} cases, {wrong} wrong, greatest error {worst:.1e} of the greatest value")
    return 1 if wrong else 0


def bench():
    from elementwise_bench import queued_us
    print("| B, L, D, modes | A | B, C of the token | forward µs | backward µs |\n|---|---|---|---|---|")
    for shape, modes, cplx in (((32, 512, 256), 16, False), ((32, 512, 256), 1, False), ((8, 4096, 512), 16, False), ((8, 4096, 512), 8, True),
                               ((4, 16384, 128), 32, True)):
        for b_token, c_token in ((False, False), (True, False), (False, True), (True, True)):
            run = OnGpu(Case(shape, modes, cplx, b_token, c_token))
            run.forward()
            print(f"| {', '.join(map(str, (*shape, modes)))} | {'complex' if cplx else 'real'} | {int(b_token)}, {int(c_token)} "
                  f"| {queued_us(run.forward):.0f} | {queued_us(run.backward):.0f} |", flush=True)


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what in TOLERANCE:
        given = [int(m) for m in sys.argv[2:] if m.isdigit()]
        sys.exit(check(what, given or ((1, 4, 17) if what == "emulate" else (1, 2, 3, 4, 8, 16, 17, 32, 64))))
    elif what == "bench":
        bench()
    else:
        sys.exit(__doc__)
