"""Checks and times a step of many sequences, and its kernels one by one, against a plain decoder in PyTorch.

    python3 dev/gpu/generate_batch.py build      compile every variant (needs no GPU)
    python3 dev/gpu/generate_batch.py check      hidden output, states and choices, several sizes
    python3 dev/gpu/generate_batch.py time       microseconds of a step, its blocks, head, choice and kernels
    python3 dev/gpu/generate_batch.py once       two steps of three layers, for ncu
    python3 dev/gpu/generate_batch.py sanitize   a few small shapes once, for compute-sanitizer
"""
import argparse
import ctypes
import sys
import time

from loader import Module, compile_cubin

if "build" not in sys.argv:
    import torch
    from generate import Model, Packed

N, K = 16, 4


class BatchParams(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_void_p) for n in "tokens embedding residual norm normed hidden xz channel conv h u select dtProj y".split()]
                + [("batch", ctypes.c_int), ("epsilon", ctypes.c_float)])


class SelectParams(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in "xz weight channel conv u select".split()] + [("batch", ctypes.c_int)]


class StateParams(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in "u xz select dtProj channel h y ahead".split()] + [("aheadBytes", ctypes.c_int64)] + [("batch", ctypes.c_int)]


class ChooseParams(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_void_p) for n in "logits tokens record position done bad stop seeds".split()] + [("row", ctypes.c_int64)]
                + [(n, ctypes.c_int) for n in "batch vocab stops topK".split()] + [(n, ctypes.c_float) for n in "temperature topP minP".split()])


class EnterParams(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_void_p) for n in "normed squares weight xProj channel conv u z shares".split()]
                + [("batch", ctypes.c_int), ("epsilon", ctypes.c_float)])


class RecurParams(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in "shares u z dtProj channel h y".split()] + [("batch", ctypes.c_int)]


class LeaveParams(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in "y weight residual norm normed squares".split()] + [("batch", ctypes.c_int)]


def fill(p, **values):
    for name, t in values.items():
        setattr(p, name, t.data_ptr() if hasattr(t, "data_ptr") else t)
    return p


def batch_options(d, bf16=1, N=N, K=K):
    return dict(MODEL=d, INNER=2 * d, STATES=N, RANK=-(-d // 16), CONV_W=K, IO_BF16=bf16)


class Batch:
    """A step of many sequences; `mix`: convolution and states by decode_select and decode_state, each in one kernel;
    `ahead`: decode_state asks for the next in_proj; `fused`: a layer is decode_enter, decode_recur and decode_leave instead,
    with further options of theirs."""

    def __init__(self, packed, batch, mix=True, early=True, ahead=True, fused=False, **more):
        m, self.p, self.batch, self.mix, self.early, self.fused = packed.m, packed, batch, mix, early, fused
        self.m, o = m, batch_options(m.d, m.bf16, m.N, m.K)
        self.ahead = ahead
        self.module = Module.of("decode_batch", SEQUENCES=8, **o)
        self.choose_module = Module.of("decode_choose", IO_BF16=m.bf16)
        self.conv_channels, = self.module.ints("decode_conv_channels", 1)
        if mix:
            self.selecting = Module.of("decode_select", **o)
            self.stating = Module.of("decode_state", **o)
            self.select_shared, = self.selecting.ints("decode_select_shared", 1)
            self.state_shared, = self.stating.ints("decode_state_shared", 1)
        t, S = packed.embedding.dtype, packed.x_proj.shape[2]
        if fused:
            self.entering, self.recurring, self.leaving = (Module.of("decode_" + n, **o, **more) for n in ("enter", "recur", "leave"))
            self.enter_rows, self.enter_columns, enter, self.x_tiles, self.norm_tiles = self.entering.ints("decode_enter_geometry", 5)
            self.recur_channels, recur = self.recurring.ints("decode_recur_geometry", 2)
            self.leave_rows, self.leave_columns, leave = self.leaving.ints("decode_leave_geometry", 3)
            self.fused_shared = enter, recur, leave
            self.shares = torch.full((batch, self.x_tiles, S), float("nan"), device="cuda")
            self.squares = torch.full((batch, self.norm_tiles), float("nan"), device="cuda")
            self.z = torch.full((batch, m.D), float("nan"), device="cuda", dtype=t)
        new = lambda *s, dtype=t: torch.full(s, float("nan"), device="cuda", dtype=dtype)
        self.conv, self.h = m.states(batch)
        self.tokens = torch.zeros(batch, device="cuda", dtype=torch.int32)
        self.residual, self.hidden = new(batch, m.d, dtype=torch.float32), new(batch, m.d, dtype=torch.float32)
        self.normed, self.xz, self.u, self.select, self.y = new(batch, m.d), new(batch, 2 * m.D), new(batch, m.D), new(batch, S), new(batch, m.D)
        self.logits = torch.zeros(batch, -(-m.V // 8) * 8, device="cuda", dtype=t)
        z = lambda *s, dtype=torch.int32: torch.zeros(*s, device="cuda", dtype=dtype)
        self.record, self.position, self.done, self.bad, self.seeds = z(4096, batch), z(batch), z(batch), z(1), z(batch, dtype=torch.int64)

    def norm(self, layer):
        m, k = self.m, self.p
        p = fill(BatchParams(), embedding=k.embedding, residual=self.residual, norm=k.norm[layer], normed=self.normed, batch=self.batch, epsilon=1e-5)
        if layer == 0:
            fill(p, tokens=self.tokens)
        if layer == m.layers:
            fill(p, hidden=self.hidden)
        self.module.launch("decode_norm", (self.batch, 1, 1), 256, p, early=self.early and layer > 0)

    def in_proj(self, l):
        torch.mm(self.normed, self.p.in_proj[l].T, out=self.xz)

    def selects(self, l):
        k = self.p
        p = fill(SelectParams(), xz=self.xz, weight=k.x_proj[l], channel=k.channel[l], conv=self.conv[l], u=self.u, select=self.select, batch=self.batch)
        self.selecting.launch("decode_select", (8, -(-self.batch // 16), 1), 512, p, self.select_shared, early=self.early)

    def states(self, l):
        k = self.p
        p = fill(StateParams(), u=self.u, xz=self.xz, select=self.select, dtProj=k.dt_proj[l], channel=k.channel[l], h=self.h[l], y=self.y, batch=self.batch)
        if self.ahead and l + 1 < self.m.layers and k.in_proj[l + 1].nbytes <= 8 << 20:
            fill(p, ahead=k.in_proj[l + 1], aheadBytes=k.in_proj[l + 1].nbytes)
        self.stating.launch("decode_state", (self.m.D // 64, -(-self.batch // 8), 1), 256, p, self.state_shared, early=self.early)

    def enter(self, l):
        k = self.p
        p = fill(EnterParams(), normed=self.normed, weight=k.in_proj[l], xProj=k.x_proj[l], channel=k.channel[l], conv=self.conv[l], u=self.u, z=self.z,
                 shares=self.shares, batch=self.batch, epsilon=1e-5)
        if l:
            fill(p, squares=self.squares)
        self.entering.launch("decode_enter", (2 * self.m.D // self.enter_columns, -(-self.batch // self.enter_rows), 1), 256, p, self.fused_shared[0], early=self.early)

    def recur(self, l):
        k = self.p
        p = fill(RecurParams(), shares=self.shares, u=self.u, z=self.z, dtProj=k.dt_proj[l], channel=k.channel[l], h=self.h[l], y=self.y, batch=self.batch)
        self.recurring.launch("decode_recur", (self.m.D // self.recur_channels, -(-self.batch // 4), 1), 512, p, self.fused_shared[1], early=self.early)

    def leave(self, l):
        k = self.p
        p = fill(LeaveParams(), y=self.y, weight=k.out_proj[l], residual=self.residual, norm=k.norm[l + 1], normed=self.normed, squares=self.squares, batch=self.batch)
        self.leaving.launch("decode_leave", (self.m.d // self.leave_columns, -(-self.batch // self.leave_rows), 1), 256, p, self.fused_shared[2], early=self.early)

    def plain(self, l):
        m, k, n = self.m, self.p, self.batch
        p = fill(BatchParams(), xz=self.xz, channel=k.channel[l], conv=self.conv[l], h=self.h[l], u=self.u, select=self.select,
                 dtProj=k.dt_proj[l], y=self.y, batch=n)
        self.module.launch("decode_conv", (-(-m.D // self.conv_channels), n, 1), 128, p)
        torch.mm(self.u, k.x_proj[l], out=self.select)
        self.module.launch("decode_state", (-(-m.D // 64), -(-n // 8), 1), 256, p)

    def out(self, l):
        if self.m.bf16:
            torch.ops.aten.addmm.dtype_out(self.residual, self.y, self.p.out_proj[l], torch.float32, out=self.residual)
        else:
            self.residual.addmm_(self.y, self.p.out_proj[l])

    def blocks(self):
        self.norm(0)
        if self.fused:
            for l in range(self.m.layers):
                self.enter(l)
                self.recur(l)
                self.leave(l)
            self.norm(self.m.layers)
            return
        for l in range(self.m.layers):
            self.in_proj(l)
            if self.mix:
                self.selects(l)
                self.states(l)
            else:
                self.plain(l)
            self.out(l)
            self.norm(l + 1)

    def head(self):
        torch.mm(self.normed, self.p.embedding.T, out=self.logits[:, :self.m.V] if self.m.V % 8 else self.logits)

    def choose(self):
        p = fill(ChooseParams(), logits=self.logits, tokens=self.tokens, record=self.record, position=self.position, done=self.done, bad=self.bad,
                 seeds=self.seeds, row=self.logits.shape[1], batch=self.batch, vocab=self.m.V)
        self.choose_module.launch("decode_choose", (self.batch, 1, 1), 512, p)

    def step(self):
        self.blocks()
        self.head()
        self.choose()


def graph_time(f, replays=10):
    s = torch.cuda.Stream()
    with torch.cuda.stream(s):
        f()
    torch.cuda.synchronize()
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        f()
    best = 1e9
    for _ in range(4):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        g.replay()
        a.record()
        for _ in range(replays):
            g.replay()
        b.record()
        torch.cuda.synchronize()
        best = min(best, a.elapsed_time(b) * 1e3 / replays)
    return best


def check_batch(d, layers, V, batch, bf16=1, N=N, steps=4, **more):
    m = Model(d, layers, V, bf16, N=N)
    b = Batch(Packed(m), batch, **more)
    conv, h = m.states(batch)
    chosen = True
    for i in range(steps):
        ids = torch.randint(0, V, (batch,), device="cuda")
        hidden = m.step(ids, conv, h)
        b.tokens.copy_(ids)
        b.step()
        chosen &= bool((b.logits[:, :V].max(1).values == b.logits.gather(1, b.tokens.long()[:, None])[:, 0]).all())
        chosen &= bool((b.tokens == b.logits[:, :V].float().argmax(1)).all()) if not bf16 else True
    torch.cuda.synchronize()
    errors = [((got - want).norm() / want.norm()).item() for got, want in ((b.hidden, hidden), (b.conv, conv), (b.h, h))]
    rows = ((b.hidden - hidden).norm(dim=1) / hidden.norm(dim=1)).max().item()
    good = all(e < (2e-2 if bf16 else 2e-5) for e in errors) and rows < (4e-2 if bf16 else 1e-4) and chosen and int(b.bad) == 0
    print(f"batch {batch} d {d} N {N} bf16 {bf16} {more}: hidden, conv, h {' '.join('%.1e' % e for e in errors)}, worst row {rows:.1e}, chosen {chosen} "
          f"{'ok' if good else 'WRONG'}", flush=True)
    return good


CHECKS = [dict(d=768, layers=3, V=1000, batch=n) for n in (1, 7, 8, 16, 17, 128, 300)] + [
    dict(d=768, layers=3, V=1000, batch=128, early=False), dict(d=768, layers=3, V=1000, batch=33, mix=False), dict(d=384, layers=3, V=1003, batch=70),
    dict(d=128, layers=3, V=999, batch=19), dict(d=256, layers=2, V=999, batch=19, N=32), dict(d=2048, layers=2, V=1000, batch=128),
    dict(d=2048, layers=2, V=1000, batch=20), dict(d=128, layers=3, V=999, batch=19, fused=True), dict(d=384, layers=3, V=1003, batch=70, fused=True),
    dict(d=256, layers=2, V=999, batch=19, N=32, fused=True), dict(d=1024, layers=2, V=999, batch=130, fused=True)] + [
    dict(d=768, layers=3, V=1000, batch=n, fused=True) for n in (1, 3, 4, 5, 31, 63, 64, 65, 128, 300)] + [
    dict(d=768, layers=3, V=1000, batch=128, fused=True, early=False), dict(d=96, layers=2, V=1000, batch=7, bf16=0, mix=False)]


def check():
    good = True
    for c in CHECKS:
        good &= check_batch(**c)
    return good


SMALL = [dict(d=128, layers=2, V=256, batch=19), dict(d=128, layers=2, V=256, batch=67, fused=True), dict(d=256, layers=1, V=260, batch=9, N=32),
         dict(d=96, layers=1, V=256, batch=5, bf16=0, mix=False)]


def sanitize():
    return all([check_batch(steps=2, **c) for c in SMALL])


VARIANTS = [dict(mix=False, early=False), dict(early=False), dict(ahead=False), dict(), dict(fused=True), dict(fused=True, early=False)]


def measure(d, layers, V, batch, profile=True):
    p = Packed(Model(d, layers, V))
    for v in VARIANTS:
        if v.get("fused") and d > 1024:
            continue
        try:
            b = Batch(p, batch, **v)
            print(f"d {d} layers {layers} batch {batch} {v}: blocks {graph_time(b.blocks):.0f} us, step {graph_time(b.step):.0f}", flush=True)
        except Exception as e:
            print(v, str(e)[:300], flush=True)
    b = Batch(p, batch)
    over = lambda *names: graph_time(lambda: [getattr(b, n)(l) for l in range(layers) for n in names]) / layers
    print("  one kernel after itself: " + ", ".join("%s %.2f us" % (n, over(n)) for n in ("norm", "in_proj", "selects", "states", "out")))
    print("  together: " + ", ".join("%s %.2f" % (" + ".join(n), over(*n)) for n in (
        ("norm", "in_proj"), ("in_proj", "selects"), ("selects", "states"), ("in_proj", "selects", "states"), ("states", "out"), ("out", "norm"))), flush=True)
    copies = [graph_time(lambda: [f(l) for l in range(layers)]) / layers for f in (lambda l: b.h[l].mul_(1.), lambda l: b.conv[l].mul_(1.))]
    print("  head %.1f us, choose %.1f us; reading and writing all of h %.2f us, of conv %.2f us a layer" % (graph_time(b.head), graph_time(b.choose), *copies), flush=True)
    b = Batch(p, batch)
    if not profile:
        return
    b.step()
    torch.cuda.synchronize()
    from torch.profiler import profile, ProfilerActivity
    with profile(activities=[ProfilerActivity.CUDA]) as prof:
        b.step()
        torch.cuda.synchronize()
    for e in prof.key_averages():
        if e.device_time > 0:
            print("   %-50s %4d x %.2f us" % (e.key[:50], e.count, e.device_time))


def prompts(d, batch=128, length=128):
    """The library's products over all positions of the prompts."""
    D, R, rows = 2 * d, -(-d // 16), batch * length
    S = -(-(R + 2 * N) // 8) * 8
    new = lambda *s, dtype=torch.bfloat16: torch.randn(*s, device="cuda", dtype=dtype)
    x, u, select, y = new(rows, d), new(rows, D), new(rows, S), new(rows, D)
    inp, xp, dt, outp = new(2 * D, d), new(D, S), new(D, R), new(D, d)
    flops = rows * 2 * (2 * D * d + D * S + D * R + D * d)
    times = [graph_time(f, 3) for f in (lambda: x @ inp.T, lambda: u @ xp, lambda: select[:, :R] @ dt.T, lambda: y @ outp)]
    print(f"  prompts d {d}: in_proj %.0f, x_proj %.0f, dt_proj %.0f, out_proj %.0f us a layer, {flops / sum(times) / 1e6:.0f} TFLOP/s" % tuple(times), flush=True)


def build():
    from concurrent.futures import ThreadPoolExecutor
    jobs = [("decode_choose", dict(IO_BF16=b)) for b in (0, 1)]
    for c in CHECKS + [dict(d=d, **v) for d in (768, 2048) for v in VARIANTS if d == 768 or not v.get("fused")] + SMALL:
        o = batch_options(c["d"], c.get("bf16", 1), c.get("N", N))
        jobs.append(("decode_batch", dict(SEQUENCES=8, **o)))
        if c.get("fused"):
            jobs += [("decode_" + n, o) for n in ("enter", "recur", "leave")]
        if c.get("mix", True):
            jobs += [("decode_select", o), ("decode_state", o)]
    jobs = [job for i, job in enumerate(jobs) if job not in jobs[:i]]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda job: compile_cubin(*job), jobs))
    print(len(jobs), "variants")


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("what", nargs="+", choices=["build", "check", "time", "once", "sanitize"])
    good = True
    for what in a.parse_args().what:
        begin = time.time()
        if what == "build":
            build()
        elif what == "check":
            good &= check()
        elif what == "sanitize":
            good &= sanitize()
        elif what == "once":
            for d in (768, 2048):
                b = Batch(Packed(Model(d, 3, 50280)), 128)
                b.step(), b.step()
                torch.cuda.synchronize()
        else:
            for d, layers in ((768, 24), (2048, 48)):
                measure(d, layers, 50280, 128)
                prompts(d)
                torch.cuda.empty_cache()
        print(f"{what}: {'done' if good else 'FAILED'} in {time.time() - begin:.0f} s", flush=True)
    sys.exit(0 if good else 1)
