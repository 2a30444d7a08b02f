"""Checks and times the kernels of generation against a plain decoder in PyTorch.

    python3 dev/gpu/generate.py build            compile every variant (needs no GPU)
    python3 dev/gpu/generate.py check            one sequence, several sizes: hidden, states, tokens
    python3 dev/gpu/generate.py batch            a step of many sequences
    python3 dev/gpu/generate.py batchtime        microseconds of its parts
    python3 dev/gpu/generate.py token            microseconds a token at batch 1, for variants of the kernel's geometry
"""
import argparse
import ctypes
import math
import sys
import time

from loader import Module, compile_cubin

if "build" not in sys.argv:
    import torch
    import torch.nn.functional as F

N, K = 16, 4


class Model:
    """Random weights as a new Mamba has them, rounded to bfloat16 unless `bf16` is 0."""

    def __init__(self, d, layers, V, bf16=1, seed=0, N=N, K=K):
        g = torch.Generator(device="cuda").manual_seed(seed)
        self.d, self.D, self.layers, self.V, self.R, self.N, self.K, self.bf16 = d, 2 * d, layers, V, -(-d // 16), N, K, bf16
        D, R, t = self.D, self.R, torch.bfloat16 if bf16 else torch.float32

        def rand(*shape, scale):
            return (torch.randn(*shape, generator=g, device="cuda") * scale).to(t)

        self.embedding = rand(V, d, scale=0.02 if V < 1000 else 0.2)
        self.in_proj = rand(layers, 2 * D, d, scale=d ** -0.5)
        self.x_proj = rand(layers, R + 2 * N, D, scale=D ** -0.5)
        self.dt_proj = rand(layers, D, R, scale=R ** -0.5)
        self.out_proj = rand(layers, d, D, scale=D ** -0.5 / math.sqrt(layers))
        f = dict(device="cuda", dtype=torch.float32)
        self.conv_w, self.conv_b = torch.randn(layers, D, K, generator=g, **f) * 0.5, torch.randn(layers, D, generator=g, **f) * 0.1
        dt = torch.exp(torch.rand(layers, D, generator=g, **f) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
        self.dt_b = dt + torch.log(-torch.expm1(-dt))
        self.A = -torch.arange(1, N + 1, **f).repeat(layers, D, 1) * (1 + 0.1 * torch.randn(layers, D, N, generator=g, **f)).clamp(min=0.1)
        self.skip = torch.ones(layers, D, **f)
        self.norm = 1 + 0.1 * torch.randn(layers + 1, d, generator=g, **f)

    def states(self, batch):
        f = dict(device="cuda", dtype=torch.float32)
        return torch.zeros(self.layers, batch, self.D, self.K - 1, **f), torch.zeros(self.layers, batch, self.D, self.N, **f)

    def step(self, ids, conv, h):
        """ids (B); states are changed. Returns the hidden state (B,d) that the head reads, float32 arithmetic."""
        x = self.embedding[ids].float()
        for l in range(self.layers):
            n = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.norm[l]
            xz = n @ self.in_proj[l].float().T
            u, z = xz[:, :self.D], xz[:, self.D:]
            window = torch.cat([conv[l], u[:, :, None]], 2)
            conv[l] = window[:, :, 1:]
            u = F.silu((window * self.conv_w[l]).sum(2) + self.conv_b[l])
            sel = u @ self.x_proj[l].float().T
            dt, b, c = sel.split([self.R, self.N, self.N], 1)
            delta = F.softplus(dt @ self.dt_proj[l].float().T + self.dt_b[l])
            h[l] = h[l] * torch.exp(delta[:, :, None] * self.A[l]) + (delta * u)[:, :, None] * b[:, None]
            y = ((h[l] * c[:, None]).sum(2) + self.skip[l] * u) * F.silu(z)
            x = x + y @ self.out_proj[l].float().T
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.norm[-1]

    def logits(self, hidden):
        return hidden @ self.embedding.float().T


def pad(t, to):
    return F.pad(t, (0, -t.shape[-1] % to)).contiguous()


class TokenParams(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_void_p) for n in "embedding head inProj xProj dtProj outProj channel norm conv h selectSums residualSums best "
                 "tokens result hidden logits stop".split()] + [(n, ctypes.c_int64) for n in ("convLayer", "hLayer")]
                + [(n, ctypes.c_int) for n in "layers vocab steps epoch stops choose".split()] + [("epsilon", ctypes.c_float)])


class Packed:
    """The weights as the kernels want them."""

    def __init__(self, m):
        self.m = m
        self.in_proj, self.embedding = m.in_proj, m.embedding
        self.x_proj = pad(m.x_proj.transpose(1, 2), 8)
        self.dt_proj = pad(m.dt_proj, 8)
        self.out_proj = m.out_proj.transpose(1, 2).contiguous()
        self.channel = torch.cat([pad(torch.cat([m.conv_w, m.conv_b[:, :, None], m.dt_b[:, :, None], m.skip[:, :, None]], 2), 4),
                                  pad(m.A * math.log2(math.e), 4)], 2).contiguous()
        self.norm = m.norm.contiguous()


def geometry(d, bf16, N=N, K=K, sms=132, warps=12, stage=None, stages=99, spread=256, group=8, pause=0):
    """Options of decode_tokens for a model of width d."""
    D, R, size = 2 * d, -(-d // 16), 2 if bf16 else 4
    channels, row = -(-D // sms), d * size
    small = channels * (-(-(R + 2 * N) // 8) * 8 * size + -(-R // 8) * 8 * size + 4 * (-(-(K + 3) // 4) * 4 + -(-N // 4) * 4))
    stage = stage or max(-(-small // 128) * 128, row * max(1, min(channels, 18432 // row)))
    return dict(MODEL=d, INNER=D, STATES=N, RANK=R, CONV_W=K, CHANNELS=channels, WARPS=warps, STAGE_BYTES=stage, SPREAD=spread, RESIDUAL_GROUP=group, PAUSE=pause,
                STAGES=min(stages, 64, (221 * 1024 - 8 * d) // stage), IO_BF16=bf16)


class Single:
    """One sequence by decode_tokens."""

    def __init__(self, packed, **more):
        m, self.p = packed.m, packed
        o = geometry(m.d, m.bf16, m.N, m.K, torch.cuda.get_device_properties(0).multi_processor_count, **more)
        self.shared = o["STAGE_BYTES"] * o["STAGES"]
        self.geometry = "channels %(CHANNELS)d warps %(WARPS)d stages %(STAGES)d x %(STAGE_BYTES)d spread %(SPREAD)d/%(RESIDUAL_GROUP)d pause %(PAUSE)d" % o
        self.module = Module.of("decode_tokens", **o)
        self.blocks, self.threads = -(-m.D // o["CHANNELS"]), 32 * (o["WARPS"] + 1)
        self.conv, self.h = m.states(1)
        z = dict(device="cuda", dtype=torch.int64)
        self.select, self.residual, self.best = torch.zeros(o["SPREAD"] * (m.R + 2 * m.N), **z), torch.zeros(o["SPREAD"] * m.d, **z), torch.zeros(self.blocks, **z)
        self.result = torch.zeros(2, device="cuda", dtype=torch.int32)
        self.hidden, self.epoch = torch.full((m.d,), float("nan"), device="cuda"), 1

    def run(self, tokens, steps, choose=1, logits=None, stop=None):
        m, k, p = self.p.m, self.p, TokenParams()
        for name, t in dict(embedding=k.embedding, head=k.embedding, inProj=k.in_proj, xProj=k.x_proj, dtProj=k.dt_proj, outProj=k.out_proj,
                            channel=k.channel, norm=k.norm, conv=self.conv, h=self.h, selectSums=self.select, residualSums=self.residual,
                            best=self.best, tokens=tokens, result=self.result, hidden=self.hidden, logits=logits, stop=stop).items():
            setattr(p, name, None if t is None else t.data_ptr())
        p.convLayer, p.hLayer = m.D * (m.K - 1), m.D * m.N
        p.layers, p.vocab, p.steps, p.epoch, p.choose, p.epsilon = m.layers, m.V, steps, self.epoch, choose, 1e-5
        p.stops = 0 if stop is None else stop.numel()
        self.epoch += steps
        self.module.launch("decode_tokens", (self.blocks, 1, 1), self.threads, p, self.shared, cooperative=True)


def worst(name, got, want):
    error = (got - want).norm() / want.norm()
    return f"{name} {error:.1e}", bool(error < 2e-4)


def check_single(d, layers, V, bf16, steps=24, **more):
    m = Model(d, layers, V, bf16, **more)
    s = Single(Packed(m))
    conv, h = m.states(1)
    prompt = torch.randint(0, V, (7,), device="cuda")
    for t in prompt[:-1]:
        m.step(t[None], conv, h)
    token, want, logits0 = prompt[-1], [], None
    for i in range(steps):
        hidden = m.step(token[None], conv, h)
        logits = m.logits(hidden)[0]
        if i == 0:
            first = logits
        token = logits.argmax()
        want.append(int(token))
    tokens = torch.zeros(steps + 8, device="cuda", dtype=torch.int32)
    tokens[:7] = prompt
    s.run(tokens, 6, choose=0)
    logits = torch.full((V,), float("nan"), device="cuda")
    s.run(tokens[6:], 1, logits=logits)
    rest = tokens[7:]
    s.run(rest, 5)
    torch.cuda.synchronize()
    rest = rest[5:]
    s.run(rest, steps - 6)
    torch.cuda.synchronize()
    got = tokens[7:7 + steps].tolist()
    texts, good = zip(worst("logits", logits, first), worst("hidden", s.hidden, hidden[0]), worst("conv", s.conv, conv), worst("h", s.h, h))
    same = sum(a == b for a, b in zip(got, want))
    stop = torch.tensor([want[9]], device="cuda", dtype=torch.int32)
    again = torch.zeros(steps + 8, device="cuda", dtype=torch.int32)
    again[:7] = prompt
    t = Single(s.p)
    t.run(again, 6, choose=0)
    t.run(again[6:], steps, stop=stop)
    torch.cuda.synchronize()
    stopped = int(t.result[0]) == want.index(want[9]) + 1 and again[7:7 + int(t.result[0])].tolist() == want[:int(t.result[0])]
    ok = all(good) and same == steps and int(s.result[1]) == 0 and stopped
    print(f"d {d} layers {layers} V {V} bf16 {bf16} {more or ''} {s.geometry}: {'  '.join(texts)}  tokens {same}/{steps}  stop {stopped}  "
          f"{'ok' if ok else 'WRONG'}", flush=True)
    return ok


def time_token(s, steps=100, choose=1):
    tokens = torch.zeros(steps + 1, device="cuda", dtype=torch.int32)
    best = 1e9
    for _ in range(4):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        s.run(tokens, steps, choose)
        b.record()
        torch.cuda.synchronize()
        best = min(best, a.elapsed_time(b) * 1e3 / steps)
    return best


def variants(d):
    if d <= 768:
        return [dict(spread=s, group=g) for s, g in ((16, 4), (64, 4), (128, 4), (256, 4), (256, 8), (256, 16), (512, 16), (1024, 16))]
    return [dict(warps=8, stage=24576, spread=s, group=g) for s, g in ((64, 4), (256, 8), (256, 16))] + [dict(warps=15, stage=24576)]


def token(sizes):
    for d, layers, V in sizes:
        p = Packed(Model(d, layers, V))
        for v in variants(d):
            s = Single(p, **v)
            all_, blocks = time_token(s), time_token(s, choose=0)
            print(f"d {d} layers {layers} {s.geometry}: {all_:.1f} us a token ({1e6 / all_:.0f}/s), without head {blocks:.1f}", flush=True)


class BatchParams(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_void_p) for n in "tokens embedding residual norm normed hidden xz channel conv h u select dtProj y".split()]
                + [("batch", ctypes.c_int), ("epsilon", ctypes.c_float)])


class SelectParams(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in "u weight select".split()] + [("batch", ctypes.c_int)]


def fill(p, **values):
    for name, t in values.items():
        setattr(p, name, t.data_ptr() if hasattr(t, "data_ptr") else t)
    return p


def batch_options(d, bf16=1, N=N, K=K):
    return dict(MODEL=d, INNER=2 * d, STATES=N, RANK=-(-d // 16), CONV_W=K, IO_BF16=bf16)


class Batch:
    """A step of many sequences; `own`: x_proj by decode_select, and kernels that begin before the one before them has ended."""

    def __init__(self, packed, batch, own=True, sequences=8):
        m, self.p, self.batch, self.own, self.sequences = packed.m, packed, batch, own, sequences
        self.m, o = m, batch_options(m.d, m.bf16, m.N, m.K)
        self.module = Module.of("decode_batch", SEQUENCES=sequences, **o)
        self.conv_channels, = self.module.ints("decode_conv_channels", 1)
        if own:
            self.product = Module.of("decode_select", **o)
            self.shared, = self.product.ints("decode_select_shared", 1)
        t, S = packed.embedding.dtype, packed.x_proj.shape[2]
        new = lambda *s, dtype=t: torch.full(s, float("nan"), device="cuda", dtype=dtype)
        self.conv, self.h = m.states(batch)
        self.tokens = torch.zeros(batch, device="cuda", dtype=torch.int32)
        self.residual, self.hidden = new(batch, m.d, dtype=torch.float32), new(batch, m.d, dtype=torch.float32)
        self.normed, self.xz, self.u, self.select, self.y = new(batch, m.d), new(batch, 2 * m.D), new(batch, m.D), new(batch, S), new(batch, m.D)
        self.logits = new(batch, m.V)

    def blocks(self):
        m, k, n = self.m, self.p, self.batch

        def norm(layer):
            p = fill(BatchParams(), embedding=k.embedding, residual=self.residual, norm=k.norm[layer], normed=self.normed, batch=n, epsilon=1e-5)
            if layer == 0:
                fill(p, tokens=self.tokens)
            if layer == m.layers:
                fill(p, hidden=self.hidden)
            self.module.launch("decode_norm", (n, 1, 1), 256, p)

        norm(0)
        for l in range(m.layers):
            p = fill(BatchParams(), xz=self.xz, channel=k.channel[l], conv=self.conv[l], h=self.h[l], u=self.u, select=self.select,
                     dtProj=k.dt_proj[l], y=self.y, batch=n)
            torch.mm(self.normed, k.in_proj[l].T, out=self.xz)
            self.module.launch("decode_conv", (-(-m.D // self.conv_channels), n, 1), 128, p)
            if self.own:
                self.product.launch("decode_select", (self.select.shape[1] // 8, -(-n // 16), 1), 256,
                                    fill(SelectParams(), u=self.u, weight=k.x_proj[l], select=self.select, batch=n), self.shared, early=True)
            else:
                torch.mm(self.u, k.x_proj[l], out=self.select)
            self.module.launch("decode_state", (-(-m.D // 64), -(-n // self.sequences), 1), 256, p, early=self.own)
            if m.bf16:
                torch.ops.aten.addmm.dtype_out(self.residual, self.y, k.out_proj[l], torch.float32, out=self.residual)
            else:
                self.residual.addmm_(self.y, k.out_proj[l])
            norm(l + 1)

    def head(self):
        torch.mm(self.normed, self.p.embedding.T, out=self.logits)


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


def check_batch(d, layers, V, batch, bf16=1, **more):
    m = Model(d, layers, V, bf16)
    b = Batch(Packed(m), batch, **more)
    conv, h = m.states(batch)
    for i in range(4):
        ids = torch.randint(0, V, (batch,), device="cuda")
        hidden = m.step(ids, conv, h)
        b.tokens.copy_(ids)
        b.blocks()
    torch.cuda.synchronize()
    errors = [((got - want).norm() / want.norm()).item() for got, want in ((b.hidden, hidden), (b.conv, conv), (b.h, h))]
    rows = ((b.hidden - hidden).norm(dim=1) / hidden.norm(dim=1)).max().item()
    good = all(e < (2e-2 if bf16 else 2e-5) for e in errors) and rows < (4e-2 if bf16 else 1e-4)
    print(f"batch {batch} d {d} bf16 {bf16} {more}: hidden, conv, h {' '.join('%.1e' % e for e in errors)}, worst row {rows:.1e} {'ok' if good else 'WRONG'}", flush=True)
    return good


def batch_check():
    good = True
    for n in (1, 16, 17, 128, 300):
        good &= check_batch(768, 3, 1000, n)
    good &= check_batch(768, 3, 1000, 33, own=False)
    good &= check_batch(384, 3, 1000, 70)
    good &= check_batch(96, 2, 1000, 7, bf16=0, own=False)
    return good


def batch_time():
    p = Packed(Model(768, 24, 50280))
    for v in (dict(own=False), dict(sequences=16), dict(), dict(sequences=4)):
        try:
            b = Batch(p, 128, **v)
            print(f"d 768 layers 24 batch 128 {v}: blocks {graph_time(b.blocks):.0f} us, head {graph_time(b.head):.0f} us", flush=True)
        except Exception as e:
            print(v, str(e)[:300], flush=True)
    b = Batch(p, 128)
    b.blocks()
    torch.cuda.synchronize()
    from torch.profiler import profile, ProfilerActivity
    with profile(activities=[ProfilerActivity.CUDA]) as prof:
        b.blocks()
        torch.cuda.synchronize()
    for e in prof.key_averages():
        if e.device_time > 0:
            print("   %-40s %4d x %.2f us" % (e.key[:40], e.count, e.device_time))


CHECKS = [(64, 2, 256, 1), (768, 4, 50280, 1), (384, 3, 256, 1), (96, 2, 300, 0), (768, 2, 1000, 0), (2048, 2, 5000, 1)]


def build():
    from concurrent.futures import ThreadPoolExecutor
    jobs = [geometry(d, bf16) for d, _, _, bf16 in CHECKS] + [geometry(128, 1, 64, 3)]
    jobs += [geometry(d, 1, **v) for d in (768, 2048) for v in variants(d)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda o: compile_cubin("decode_tokens", o), jobs))
    print(len(jobs), "variants")


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("what", nargs="+", choices=["build", "check", "token", "batch", "batchtime"])
    a.add_argument("--small", action="store_true")
    a = a.parse_args()
    good = True
    for what in a.what:
        begin = time.time()
        if what == "build":
            build()
        elif what == "check":
            for shape in CHECKS:
                good &= check_single(*shape)
            good &= check_single(128, 2, 256, 1, N=64, K=3)
        elif what == "batch":
            good &= batch_check()
        elif what == "batchtime":
            batch_time()
        else:
            token([(768, 24, 50280)] if a.small else [(768, 24, 50280), (2048, 48, 50280)])
        print(f"{what}: {'done' if good else 'FAILED'} in {time.time() - begin:.0f} s", flush=True)
    sys.exit(0 if good else 1)
