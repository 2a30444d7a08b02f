"""Checks the CUDA kernels against references in double, then times them with CUDA events.

    python3 dev/gpu/kernels.py build             compile every variant that the checks use (needs no GPU)
    python3 dev/gpu/kernels.py check             contract shapes: sizes around every edge, strides, every option on and off
    python3 dev/gpu/kernels.py bench [--json F]  the figures of docs/performance.md; refuses to time a wrong answer
    python3 dev/gpu/kernels.py sanitize          a few small shapes, for compute-sanitizer
    python3 dev/gpu/kernels.py sweep             how times depend on the number of ranges
    python3 dev/gpu/kernels.py huge              more than 2^31 elements (60 GB)
    python3 dev/gpu/kernels.py quick, profile    a few times, to compare variants; one call of each kernel, for ncu

NVRTC is found beside torch; NVRTC_DIR, KERNELS and KERNEL_CACHE name other places of it, of the sources, of the CUBINs.
DEFINES has further macros ("NAME=value NAME=value"), to try variants.
"""
import argparse
import json
import math
import sys
import time

VARIANTS = [(16, 1, 0), (16, 0, 0), (16, 1, 1), (16, 0, 1), (1, 0, 0), (3, 1, 1), (4, 1, 0), (8, 0, 1), (17, 1, 0), (64, 1, 0),
            (100, 0, 1), (128, 0, 0), (256, 1, 0), (256, 0, 1)]
CONVS = [(4, 1, 0), (4, 0, 0), (4, 1, 1), (4, 0, 1), (2, 1, 0), (3, 0, 1)]
TOLERANCE = {1: (3e-2, 5e-2), 0: (6e-4, 2e-3)}          # by IO_BF16; gradients five times
NORM = {1: 6e-3, 0: 5e-5}                               # |got - want| / |want|, gradients too


def build():
    from concurrent.futures import ThreadPoolExecutor
    import subprocess
    jobs = [("selective_scan_" + k, dict(STATES=n, IO_BF16=b, RESETS=r)) for n, b, r in VARIANTS for k in ("forward", "carry", "backward")]
    jobs += [("selective_scan_reference", dict(STATES=n, IO_BF16=0)) for n in sorted({v[0] for v in VARIANTS})]
    jobs += [("causal_conv", dict(CONV_W=w, IO_BF16=b, RESETS=r, SILU=s, START_GRADIENT=g)) for w, b, r in CONVS for s in (0, 1) for g in (0, 1)]
    code = "import loader,sys,json; loader.compile_cubin(sys.argv[1], json.loads(sys.argv[2]))"
    def one(job):
        import os
        subprocess.run([sys.executable, "-c", code, job[0], json.dumps(job[1])], check=True, cwd=sys.path[0] or ".", env=os.environ)
    with ThreadPoolExecutor(max_workers=__import__("os").cpu_count()) as pool:
        list(pool.map(one, jobs))
    print(len(jobs), "variants")


def inputs(batch, L, D, N, bf16, dt="init", z=True, skip=True, bias=True, h0=False, resets=False, strided=False, shut=False, seed=0, device="cuda"):
    """Random inputs. dt "init": step sizes log-uniform in 1e-3..1e-1 as a new model has them; "wide": about 0.7, quickly
    forgotten. `strided`: u's rows lie in wider rows, z is the second half of (x, z), B and C are cut from one tensor.
    `shut`: some z are 0."""
    import torch
    g = torch.Generator(device=device).manual_seed(seed)
    t = torch.bfloat16 if bf16 else torch.float32

    def rand(*shape):
        return torch.randn(*shape, generator=g, device=device)

    R = 48 if D >= 64 else 5
    u = rand(batch, L, 2 * D if strided else D).to(t)
    xz = rand(batch, L, 2 * D).to(t)
    bc = rand(batch, L, R + 2 * N).to(t)
    i = dict(u=u[:, :, :D], delta=((0.3 if dt == "init" else 1.0) * rand(batch, L, D)).to(t),
             A=-torch.arange(1, N + 1, device=device).float().repeat(D, 1) * (1 + 0.1 * rand(D, N)).clamp(min=0.1),
             B=bc[:, :, R:R + N], C=bc[:, :, R + N:])
    if not strided:
        i["B"], i["C"] = i["B"].contiguous(), i["C"].contiguous()
    i["z"] = xz[:, :, D:] if z else None
    if z and shut:
        i["z"][:, ::5, ::3] = 0
    i["skip"] = rand(D) if skip else None
    want = torch.exp(torch.rand(D, generator=g, device=device) * math.log(100) + math.log(1e-3)) if dt == "init" else torch.ones(D, device=device)
    i["bias"] = torch.log(torch.expm1(want)) if bias else None
    i["h0"] = rand(batch, D, N) if h0 else None
    i["reset"] = (torch.rand(batch, L, generator=g, device=device) < 0.02).to(torch.uint8) if resets else None
    return i


def compare(what, got, want, bf16, scale=1.0):
    """None where `got` is within tolerance of `want`, else what is wrong."""
    import torch
    g, w = got.double(), want.double()
    if g.numel() == 0:
        return None
    rtol, atol = (x * scale for x in TOLERANCE[bf16])
    bad = ~((g - w).abs() <= atol + rtol * w.abs())             # NaN counts as bad
    norm = ((g - w).norm() / w.norm().clamp(min=1e-30)).item()
    if bad.any() or not norm <= NORM[bf16]:
        at = [int(x) for x in bad.nonzero()[0]] if bad.any() else None
        return f"{what}: {int(bad.sum())} of {bad.numel()} off, first {at}, relative norm {norm:.2e}"
    return None


def check_scan(batch, L, D, N, bf16, splits=None, splits_back=None, dt="init", softplus=True, dhLast=False, quiet=False, **options):
    import torch
    from ops import Scan, reference_scan
    torch.cuda.empty_cache()
    i = inputs(batch, L, D, N, bf16, dt=dt, seed=L * 7 + D, **options)
    if not softplus:
        i["delta"] = (0.05 * i["delta"].abs()).to(i["u"].dtype) - (0.01 if not bf16 else 0)
        i["bias"] = None
    g = torch.Generator(device="cuda").manual_seed(1)
    dout = torch.randn(batch, L, D, generator=g, device="cuda").to(i["u"].dtype)
    dh = torch.randn(batch, D, N, generator=g, device="cuda") if dhLast else None
    s = Scan(**i, softplus=softplus, splits=splits, splits_back=splits_back, poison=True)
    s.forward()
    s.prepare_backward(dout, dh)
    grads = s.backward()
    first = {k: v.clone() for k, v in grads.items() if v is not None and k[0] == "d" and k not in ("dout", "dhLast")}
    first.update(out=s.out.clone(), hLast=s.hLast.clone())
    want = reference_scan(**i, softplus=softplus, dout=dout, dhLast=dh)
    faults = []
    for name, value in want.items():
        if value is None:
            continue
        if name in ("out", "hLast"):
            faults.append(compare(name, s.out if name == "out" else s.hLast, value, bf16))
        else:
            faults.append(compare(name, grads[name], value, bf16, 5))
    s.forward()
    s.backward()
    again = dict({k: grads[k] for k in first if k in grads}, out=s.out, hLast=s.hLast)
    for name, value in first.items():
        if not torch.equal(again[name], value):
            faults.append(f"{name}: differs from run to run")
    torch.cuda.synchronize()
    faults = [f for f in faults if f]
    label = f"scan B{batch} L{L} D{D} N{N} {'bf16' if bf16 else 'f32'} splits {s.splits}/{s.splits_back} dt {dt} {options if options else ''}" + (
        "" if softplus else " no softplus") + (" dhLast" if dhLast else "")
    if faults or not quiet:
        print("FAIL" if faults else "ok  ", label, *["\n       " + f for f in faults], flush=True)
    return not faults


def reference_conv(x, weight, bias, reset, before, silu):
    import torch
    W, L = weight.shape[1], x.shape[1]
    past = torch.zeros(x.shape[0], W - 1, x.shape[2], dtype=x.dtype, device=x.device) if before is None else before
    full = torch.cat([past, x], 1)
    out = torch.zeros_like(x) + (0 if bias is None else bias)
    mask = torch.ones(x.shape[0], L, 1, dtype=x.dtype, device=x.device)
    for back in range(W):
        if back and reset is not None:                          # a tap `back` steps ago: no beginning in (t - back, t]
            shifted = torch.nn.functional.pad(reset, (back - 1, 0))[:, :L]
            mask = mask * (shifted == 0).unsqueeze(2)
        out = out + mask * full[:, W - 1 - back:W - 1 - back + L] * weight[:, W - 1 - back]
    return torch.nn.functional.silu(out) if silu else out


def check_conv(batch, L, D, W, bf16, bias=True, resets=False, before=False, silu=True, strided=False):
    import torch
    from ops import Conv
    g = torch.Generator(device="cuda").manual_seed(L + D)
    t = torch.bfloat16 if bf16 else torch.float32
    x = torch.randn(batch, L, 2 * D if strided else D, generator=g, device="cuda").to(t)[:, :, :D]
    w = torch.randn(D, W, generator=g, device="cuda") * 0.5
    b = torch.randn(D, generator=g, device="cuda") if bias else None
    r = (torch.rand(batch, L, generator=g, device="cuda") < 0.1).to(torch.uint8) if resets else None
    past = torch.randn(batch, W - 1, D, generator=g, device="cuda").to(t) if before else None
    dout = torch.randn(batch, L, D, generator=g, device="cuda").to(t)
    c = Conv(x, w, b, r, past, silu, poison=True)
    c.forward()
    c.prepare_backward(dout, torch.full((batch, L, 2 * D), float("nan"), dtype=t, device="cuda")[:, :, :D] if strided else None)
    grads = c.backward()
    leaves = [v.double().requires_grad_() if v is not None else None for v in (x, w, b, past)]
    want = reference_conv(leaves[0], leaves[1], leaves[2], r, leaves[3], silu)
    faults = [compare("out", c.out, want.detach(), bf16)]
    if L:
        want.backward(dout.double())
        faults += [compare(n, grads["d" + n], v.grad, bf16, 5) for n, v in zip(("x", "weight", "bias", "before"), leaves) if v is not None]
    faults = [f for f in faults if f]
    print("FAIL" if faults else "ok  ", f"conv B{batch} L{L} D{D} W{W} {'bf16' if bf16 else 'f32'} bias {bias} resets {resets} before {before} silu {silu} strided {strided}",
          *["\n       " + f for f in faults], flush=True)
    return not faults


def check_reference():
    """The plain kernels against automatic differentiation of the recurrence in float64."""
    import torch
    from ops import reference_scan
    i = inputs(2, 23, 5, 16, 0, h0=True)
    leaf = {k: v.double().requires_grad_() for k, v in i.items() if v is not None}
    h, ys = leaf["h0"], []
    delta = torch.nn.functional.softplus(leaf["delta"] + leaf["bias"], threshold=1e9)
    for t in range(23):
        dt = delta[:, t].unsqueeze(2)
        h = torch.exp(dt * leaf["A"]) * h + dt * leaf["u"][:, t].unsqueeze(2) * leaf["B"][:, t].unsqueeze(1)
        ys.append((h * leaf["C"][:, t].unsqueeze(1)).sum(2) + leaf["skip"] * leaf["u"][:, t])
    y = torch.stack(ys, 1) * torch.nn.functional.silu(leaf["z"])
    dout = torch.randn_like(y)
    y.backward(dout.float().double())
    r = reference_scan(**i, dout=dout.float())
    faults = [compare("reference out", r["out"], y, 0), compare("reference hLast", r["hLast"], h, 0)]
    faults += [compare("reference d" + k, r["d" + k], v.grad, 0) for k, v in leaf.items()]
    faults = [f for f in faults if f]
    print("FAIL" if faults else "ok  ", "reference against float64 autograd", faults, flush=True)
    return not faults


def check_documents(L, D, N, bf16, splits, dt):
    """Nothing of a document of NaN gets into its neighbours, forward or back: they have the bits that they have without it."""
    import torch
    from ops import Conv, Scan
    g = torch.Generator(device="cuda").manual_seed(5)
    lengths, reset = [1, 9, 40, 31, 64, 7, 150], torch.zeros(1, L, dtype=torch.uint8, device="cuda")
    starts = [0]
    while starts[-1] < L:
        reset[0, starts[-1]] = 1
        starts.append(starts[-1] + lengths[len(starts) % 7])
    bad = [slice(a, b) for a, b in list(zip(starts, starts[1:]))[1::3]]
    faults = []
    for wrong in (float("nan"), float("inf")):
        runs, convs = [], []
        for spoil in (False, True):
            i = inputs(1, L, D, N, bf16, dt=dt, seed=3)
            i["reset"], i["h0"] = reset, torch.full((1, D, N), wrong if spoil else 0.0, device="cuda")
            dout = torch.randn(1, L, D, generator=g.manual_seed(7), device="cuda").to(i["u"].dtype)
            if spoil:
                for s in bad:
                    for t in (i["u"], i["delta"], i["B"], i["C"], i["z"], dout):
                        t[:, s] = wrong
            s = Scan(**i, splits=splits, splits_back=splits, poison=True)
            s.forward()
            s.prepare_backward(dout)
            s.backward()
            runs.append(dict(out=s.out, **{k: s.g[k] for k in ("du", "ddelta", "dz", "dB", "dC")}))
            w = torch.randn(D, 4, generator=g.manual_seed(8), device="cuda")
            c = Conv(i["u"], w, reset=reset, before=torch.full((1, 3, D), wrong if spoil else 0.0, device="cuda").to(i["u"].dtype), poison=True)
            c.forward()
            c.prepare_backward(dout)
            c.backward()
            convs.append(dict(out=c.out, dx=c.g["dx"]))
        own = torch.zeros(L, dtype=torch.bool, device="cuda")
        for s in bad:
            own[s] = True
        for what, (clean, spoilt) in (("scan", runs), ("conv", convs)):
            for k in clean:
                if not torch.equal(clean[k][:, ~own], spoilt[k][:, ~own]):
                    faults.append(f"{what} {k} of documents beside one of {wrong}")
                if torch.isfinite(spoilt[k][:, own]).all():
                    faults.append(f"{what} {k} of a document of {wrong} is finite")
    print("FAIL" if faults else "ok  ", f"documents L{L} D{D} N{N} {'bf16' if bf16 else 'f32'} splits {splits} dt {dt}", *["\n       " + f for f in faults], flush=True)
    return not faults


def check(small=False):
    ok = check_reference()
    if small:                                                   # for compute-sanitizer, which slows everything down
        for bf16, resets in ((1, False), (0, True)):
            ok &= check_scan(1, 70, 72, 16, bf16, splits=2, splits_back=3, h0=True, dhLast=True, resets=resets, shut=True, strided=True)
            ok &= check_conv(1, 300, 136, 4, bf16, resets=resets, strided=True)
            ok &= check_conv(2, 66, 13, 4, bf16, resets=not resets, before=True)
            ok &= check_conv(1, 2, 8, 4, bf16, resets=resets, before=True)
        ok &= check_scan(1, 40, 9, 3, 1, splits=2, resets=True)
        ok &= check_scan(1, 33, 9, 256, 1, splits=1)
        return ok
    for bf16 in (1, 0):
        for L in (1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 509):
            ok &= check_scan(2, L, 72, 16, bf16, h0=L % 2 == 0, dhLast=L % 3 == 0, strided=L % 2 == 1)
            ok &= check_scan(1, L, 40, 16, bf16, shut=L > 8, resets=True, h0=True, dhLast=True, dt="wide" if L % 2 else "init")
        for splits, back in ((1, 1), (2, 3), (5, 4), (16, 16)):
            for dt in ("init", "wide"):
                ok &= check_scan(2, 509, 72, 16, bf16, splits=splits, splits_back=back, h0=True, dhLast=True, dt=dt, strided=True)
                ok &= check_scan(1, 509, 33, 16, bf16, splits=splits, splits_back=back, h0=True, dhLast=True, dt=dt, resets=True)
        for off in ("z", "skip", "bias"):
            ok &= check_scan(2, 100, 64, 16, bf16, splits=2, splits_back=2, **{off: False})
        ok &= check_scan(2, 100, 64, 16, bf16, z=False, skip=False, bias=False)
        ok &= check_scan(2, 100, 64, 16, bf16, splits=2, splits_back=2, softplus=False)
        for D in (1, 7, 8, 31, 65, 130, 1536):
            ok &= check_scan(1, 45, D, 16, bf16, splits=2, strided=True)
        for dt in ("init", "wide"):
            ok &= check_scan(2, 256, 1536, 16, bf16, dt=dt)
        for splits in (1, 2, 5):
            for dt in ("init", "wide"):                         # forgetting ends a search for where a document begins
                ok &= check_documents(509, 72, 16, bf16, splits, dt)
        ok &= check_scan(1, 4098, 96, 16, bf16, h0=True, dhLast=True)
        ok &= check_scan(1, 131072, 24, 16, bf16)
        ok &= check_scan(1, 131072, 24, 16, bf16, dt="wide", strided=True)
    for n, bf16, resets in VARIANTS[4:]:
        for D in (9, 72):
            ok &= check_scan(2, 77, D, n, bf16, splits=2, splits_back=3, shut=True, resets=bool(resets), h0=True, dhLast=True)
            ok &= check_scan(1, 33, D, n, bf16, resets=bool(resets), strided=True)
    for w, bf16, resets in CONVS:
        for L in (1, 2, 3, 4, 5, 31, 32, 33, 127, 129, 509):
            ok &= check_conv(2, L, 136, w, bf16, resets=bool(resets), before=L % 2 == 1, strided=L % 3 == 0)
        ok &= check_conv(2, 100, 13, w, bf16, resets=bool(resets), bias=False)
        ok &= check_conv(2, 100, 5, w, bf16, resets=bool(resets), silu=False)
        ok &= check_conv(1, 4098, 256, w, bf16, resets=bool(resets))
    return ok


def check_huge():
    """More than 2^31 elements in u: the last steps of the last batch against a run on them alone."""
    import torch
    from ops import Conv, Scan
    torch.cuda.empty_cache()
    L, D, tail = 1_500_000, 1536, 640
    i = inputs(1, L, D, 16, 1, dt="wide", z=False)
    s = Scan(**i, save=False)
    s.forward()
    short = {k: v[:, -tail:].contiguous() if k in ("u", "delta", "B", "C") else v for k, v in i.items()}
    want = reference_scan_tail(short)
    fault = compare("out", s.out[:, -128:], want[:, -128:], 1)
    w = torch.randn(D, 4, device="cuda")
    c = Conv(i["u"], w)
    c.forward()
    ref = reference_conv(i["u"][:, -tail:].double(), w.double(), None, None, None, True)
    fault = fault or compare("conv", c.out[:, -128:], ref[:, -128:], 1)
    print("FAIL" if fault else "ok  ", f"{L * D} elements", fault or "", flush=True)
    return not fault


def reference_scan_tail(i):
    from ops import reference_scan
    return reference_scan(**i)["out"]


def median_us(run_all, calls, repeats=15):
    """Median over replays of a graph of `calls` calls, in microseconds per call."""
    import torch
    run_all()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run_all()
    for _ in range(2):
        graph.replay()
    times = []
    for _ in range(repeats):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        graph.replay()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b) * 1e3 / calls)
    return sorted(times)[len(times) // 2]


SCANS = [(8, 2048, 1536, 170, 700), (1, 131072, 1536, 1400, 5600), (1, 8192, 384, 45, 150)]


def ceilings():
    import torch
    x = torch.randint(0, 256, (1 << 32,), dtype=torch.uint8, device="cuda")
    y = torch.empty_like(x)
    times = []
    for _ in range(8):                                          # not as a graph: its copies go another, slower way
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        y.copy_(x)
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b))
    copy = 2 * x.numel() / sorted(times)[4] / 1e9
    return dict(device=torch.cuda.get_device_name(), copyTBs=round(copy, 2), sms=torch.cuda.get_device_properties(0).multi_processor_count)


def scan_sets(batch, L, D, dt, splits=None, back=None):
    import torch
    from ops import Scan
    sets = []
    for seed in range(1 if batch * L * D > 2e7 else 6):
        s = Scan(**inputs(batch, L, D, 16, 1, dt=dt, strided=True, seed=seed), splits=splits, splits_back=back)
        s.prepare_backward(torch.randn(batch, L, D, device="cuda").bfloat16())
        sets.append(s)
    return sets


def time_scan(sets):
    for s in sets:
        s.forward()
    calls = max(len(sets), 6 if sets[0].batch * sets[0].L < 1e5 else 2)
    def each(f):
        return lambda: [f(sets[k % len(sets)]) for k in range(calls)]
    return median_us(each(lambda s: s.forward()), calls), median_us(each(lambda s: s.backward()), calls)


def conv_case():
    """The benchmark's convolution: input and its gradient in the first half of rows twice as long, as in the block."""
    import torch
    from ops import Conv
    x, w, b = torch.randn(8, 2048, 3072, device="cuda").bfloat16()[:, :, :1536], torch.randn(1536, 4, device="cuda"), torch.randn(1536, device="cuda")
    c = Conv(x, w, b)
    c.prepare_backward(torch.randn(8, 2048, 1536, device="cuda").bfloat16(), torch.empty(8, 2048, 3072, device="cuda", dtype=torch.bfloat16)[:, :, :1536])
    return c


def bench(path):
    import torch
    rows, result = [], dict(ceilings(), date=time.strftime("%Y-%m-%d"))
    for batch, L, D, fwd, bwd in SCANS:
        if not check_scan(batch, min(L, 8192 if batch == 1 else 2048), 64, 16, 1, quiet=True):
            raise SystemExit("wrong answer: not timed")
        for dt in ("init", "wide"):
            torch.cuda.empty_cache()
            sets = scan_sets(batch, L, D, dt)
            f, b = time_scan(sets)
            rows.append(dict(what=f"scan bf16 B{batch} D{D} L{L} N16 dt {dt}", forward=round(f, 1), wantForward=fwd, backward=round(b, 1),
                             wantBackward=bwd, splits=[sets[0].splits, sets[0].splits_back]))
            del sets
    if not check_conv(8, 2048, 128, 4, 1):
        raise SystemExit("wrong answer: not timed")
    c = conv_case()
    f = median_us(lambda: [c.forward() for _ in range(10)], 10)
    k = median_us(lambda: [c.backward() for _ in range(10)], 10)
    rows.append(dict(what="conv+SiLU bf16 B8 D1536 L2048 W4", forward=round(f, 1), wantForward=28, backward=round(k, 1), wantBackward=60))
    result["rows"] = rows
    print(f"{result['device']}, copy {result['copyTBs']} TB/s")
    print(f"{'':46} {'forward us':>10} {'wanted':>7} {'backward us':>11} {'wanted':>7}  ranges")
    for r in rows:
        print(f"{r['what']:46} {r['forward']:10} {r['wantForward']:7} {r['backward']:11} {r['wantBackward']:7}  {r.get('splits', '')}")
    if path:
        with open(path, "w") as out:
            json.dump(result, out, indent=1)


def sweep():
    import torch
    for batch, L, D, fwd, bwd in SCANS:
        for dt in ("init", "wide"):
            line = []
            for splits in ([1, 2, 3, 4, 6, 8, 11] if batch > 1 else [6, 8, 11, 16, 22, 33, 44] if D > 1000 else [8, 11, 16, 22, 32, 43, 64]):
                torch.cuda.empty_cache()
                sets = scan_sets(batch, L, D, dt, splits, splits)
                f, b = time_scan(sets)
                line.append(f"{splits}: {f:.0f}/{b:.0f}")
                del sets
            print(f"B{batch} L{L} D{D} dt {dt}  ranges: forward/backward us ", "  ".join(line), flush=True)


def quick():
    """A few times of the scan, to compare variants of the kernels."""
    import torch
    line = []
    for batch, L, D, splits, dt in ((8, 2048, 1536, 1, "init"), (8, 2048, 1536, 4, "init"), (8, 2048, 1536, 4, "wide"),
                                    (1, 131072, 1536, 11, "wide"), (1, 8192, 384, 43, "init")):
        torch.cuda.empty_cache()
        sets = scan_sets(batch, L, D, dt, splits, splits)
        line.append("B%d D%d %d %s %.0f/%.0f" % (batch, D, splits, dt, *time_scan(sets)))
        del sets
    c = conv_case()
    line.append("conv %.1f/%.1f" % (median_us(lambda: [c.forward() for _ in range(10)], 10), median_us(lambda: [c.backward() for _ in range(10)], 10)))
    print("  ".join(line), flush=True)


def profile():
    """One call of each kernel on the first benchmark shape, for ncu."""
    import torch
    for splits in (1, 4):
        s, = scan_sets(8, 2048, 1536, "init", splits, splits)
        s.forward()
        s.backward()
    from ops import Conv
    c = Conv(torch.randn(8, 2048, 3072, device="cuda").bfloat16()[:, :, :1536], torch.randn(1536, 4, device="cuda"))
    c.forward()
    c.prepare_backward(torch.randn(8, 2048, 1536, device="cuda").bfloat16())
    c.backward()
    torch.cuda.synchronize()


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("what", nargs="+", choices=["build", "check", "huge", "bench", "sanitize", "sweep", "profile", "quick"])
    a.add_argument("--json")
    a = a.parse_args()
    good = True
    for what in a.what:
        start = time.time()
        if what == "build":
            build()
        elif what == "check":
            good &= check()
        elif what == "huge":
            good &= check_huge()
        elif what == "sanitize":
            good &= check(small=True)
        elif what == "bench":
            bench(a.json)
        elif what == "profile":
            profile()
        elif what == "quick":
            quick()
        else:
            sweep()
        print(f"{what}: {'done' if good else 'FAILED'} in {time.time() - start:.0f} s", flush=True)
    sys.exit(0 if good else 1)
