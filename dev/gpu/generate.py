"""Checks and times the generation of one sequence against a plain decoder in PyTorch; generate_batch.py has the rest.

    python3 dev/gpu/generate.py build            compile every variant (needs no GPU)
    python3 dev/gpu/generate.py check            one sequence, several sizes: hidden, states, tokens
    python3 dev/gpu/generate.py sanitize         small shapes once, for compute-sanitizer
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


def geometry(d, bf16, N=N, K=K, sms=132, warps=12, stage=None, stages=99, spread=256, group=8):
    """Options of decode_tokens for a model of width d."""
    D, R, size = 2 * d, -(-d // 16), 2 if bf16 else 4
    channels, row = -(-D // sms), d * size
    small = channels * (-(-(R + 2 * N) // 8) * 8 * size + -(-R // 8) * 8 * size + 4 * (-(-(K + 3) // 4) * 4 + -(-N // 4) * 4))
    stage = stage or max(-(-small // 128) * 128, row * max(1, min(channels, 18432 // row)))
    return dict(MODEL=d, INNER=D, STATES=N, RANK=R, CONV_W=K, CHANNELS=channels, WARPS=warps, STAGE_BYTES=stage, SPREAD=spread, RESIDUAL_GROUP=group,
                STAGES=min(stages, 64, (221 * 1024 - 8 * d) // stage), IO_BF16=bf16)


class Single:
    """One sequence by decode_tokens."""

    def __init__(self, packed, **more):
        m, self.p = packed.m, packed
        o = geometry(m.d, m.bf16, m.N, m.K, torch.cuda.get_device_properties(0).multi_processor_count, **more)
        self.shared = o["STAGE_BYTES"] * o["STAGES"]
        self.geometry = "channels %(CHANNELS)d warps %(WARPS)d stages %(STAGES)d x %(STAGE_BYTES)d spread %(SPREAD)d/%(RESIDUAL_GROUP)d" % o
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
        return [dict(spread=s, group=g) for s, g in ((64, 4), (256, 4), (256, 8), (256, 16))]
    return [dict(warps=w, stage=24576, group=16) for w in (8, 12, 15)] + [dict(warps=8, stage=32768, group=16)]


def token(sizes):
    for d, layers, V in sizes:
        p = Packed(Model(d, layers, V))
        for v in variants(d):
            s = Single(p, **v)
            all_, blocks = time_token(s), time_token(s, choose=0)
            print(f"d {d} layers {layers} {s.geometry}: {all_:.1f} us a token ({1e6 / all_:.0f}/s), without head {blocks:.1f}", flush=True)


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
    a.add_argument("what", nargs="+", choices=["build", "check", "sanitize", "token"])
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
        elif what == "sanitize":
            good = check_single(64, 1, 256, 1, steps=10) & check_single(96, 1, 300, 0, steps=10)
        else:
            token([(768, 24, 50280)] if a.small else [(768, 24, 50280), (2048, 48, 50280)])
        print(f"{what}: {'done' if good else 'FAILED'} in {time.time() - begin:.0f} s", flush=True)
    sys.exit(0 if good else 1)
