"""Times the kernels bound by device memory beside PyTorch's own; run by elementwise.py."""
import json
import time

NAN = float("nan")


def placed(t, offset):
    """A copy of t that begins `offset` elements behind an aligned address."""
    import torch
    if not offset:
        return t.clone()
    room = torch.empty(t.numel() + offset, dtype=t.dtype, device=t.device)
    room[offset:] = t.flatten()
    return room[offset:].view(t.shape)


def entries(shapes, seed=0, offset=0, copies=True, scale=1.0):
    import torch
    g = torch.Generator(device="cuda").manual_seed(seed)
    made = []
    for k, shape in enumerate(shapes):
        n = 1
        for s in shape:
            n *= s
        p = placed(torch.randn(n, generator=g, device="cuda"), offset if k % 2 else 0)
        grad = placed(torch.randn(n, generator=g, device="cuda") * scale, offset if k % 3 == 1 else 0)
        copy = torch.full((n,), NAN, device="cuda", dtype=torch.bfloat16) if copies and len(shape) == 2 else None
        made.append((p, grad, torch.zeros_like(p), torch.zeros_like(p), copy, len(shape) > 1))
    return made


def queued_us(f, calls=10, repeats=7):
    """Median time of a call on the GPU alone: the calls are queued while the GPU is kept busy."""
    import torch
    f()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(30_000_000)
        a.record()
        for _ in range(calls):
            f()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b) * 1e3 / calls)
    return sorted(times)[repeats // 2]


def mamba_shapes(d, layers, vocabulary):
    e, r = 2 * d, -(-d // 16)
    block = [(d,), (2 * e, d), (e, 1, 4), (e,), (r + 32, e), (e, r), (e,), (e, 16), (e,), (d, e)]
    return [(vocabulary, d)] + block * layers + [(d,)]


def bench(path):
    import torch
    import torch.nn.functional as F
    from kernels import ceilings, median_us
    from memory import AdamW, CrossEntropy, EmbeddingGradient, Norm, gather
    result, rows = dict(ceilings(), date=time.strftime("%Y-%m-%d")), []
    torch.cuda.empty_cache()
    rate = result["copyTBs"]
    print(f"{result['device']}, copy {rate} TB/s\n{'':52} {'us':>8} {'in graph':>9} {'GB':>7} {'of copy':>8} {'PyTorch us':>11}", flush=True)

    def row(what, f, gigabytes, theirs=None, calls=10):
        us = queued_us(f, calls)
        graph = median_us(lambda: [f() for _ in range(calls)], calls)
        other = queued_us(theirs, calls) if theirs else None
        rows.append(dict(what=what, us=round(us, 1), graph=round(graph, 1), gigabytes=round(gigabytes, 4), ofCopy=round(gigabytes / graph * 1e3 / rate, 3),
                         pytorch=other and round(other, 1)))
        r = rows[-1]
        print(f"{what:52} {us:8.1f} {graph:9.1f} {gigabytes:7.3f} {100 * r['ofCopy']:7.0f}% {'' if other is None else f'{other:11.1f}'}", flush=True)

    for M, d in ((16384, 768), (65536, 384)):
        n = M * d
        x, a, w = torch.randn(M, d, device="cuda"), torch.randn(M, d, device="cuda").bfloat16(), torch.randn(d, device="cuda")
        y, s, z = torch.empty(M, d, device="cuda", dtype=torch.bfloat16), torch.empty(M, device="cuda"), torch.empty(M, d, device="cuda")
        dn, dr, dx, c, dw = torch.randn(M, d, device="cuda").bfloat16(), torch.randn(M, d, device="cuda"), torch.empty(M, d, device="cuda"), y.clone(), w.clone()
        op = Norm(w, 1e-5)
        name = f"M {M} d {d} bf16"
        row("norm forward " + name, lambda: op.forward(x, y, s), n * 6e-9, lambda: F.rms_norm(x, (d,), w, 1e-5).bfloat16())
        row("norm forward with addend " + name, lambda: op.forward(x, y, s, a, z), n * 12e-9, lambda: F.rms_norm(x + a, (d,), w, 1e-5).bfloat16())
        leaf, leafw = x.clone().requires_grad_(), w.clone().requires_grad_()
        out = F.rms_norm(leaf, (d,), leafw, 1e-5).bfloat16()

        def theirs():
            gx, gw = torch.autograd.grad(out, (leaf, leafw), dn, retain_graph=True)
            return gx.add_(dr).bfloat16()

        row("norm backward, copy " + name, lambda: op.backward(dn, x, s, dr, dr, c, dw, False), n * 16e-9, theirs)
        row("norm backward, no copy " + name, lambda: op.backward(dn, x, s, dr, dr, None, dw, False), n * 14e-9)
        del x, a, y, s, z, dn, dr, dx, c, leaf, out
    torch.cuda.empty_cache()
    for M, V, bf16 in ((16384, 50280, 1), (4096, 50280, 1), (4096, 50280, 0), (65536, 256, 1), (65536, 256, 0), (4096, 50277, 1), (2048, 300000, 1)):
        logits = torch.randn(M, V, device="cuda", dtype=torch.bfloat16 if bf16 else torch.float32)
        targets = torch.randint(0, V, (M,), device="cuda")
        op = CrossEntropy(logits, targets)
        op.normaliser()

        def theirs():
            leaf = logits.detach().requires_grad_()
            F.cross_entropy(leaf, targets).backward()

        size = logits.numel() * logits.element_size() * 2e-9
        row(f"cross entropy M {M} V {V} {'bf16' if bf16 else 'float32'}", op.chunk, size, theirs, calls=2 if size > 1 else 10)
        if V in (256, 50280) and M > 4096 and bf16:
            row("    its normaliser", op.normaliser, M * 8e-9)
            row("    its sum", op.sum, M * 4e-9)
        del logits, op, theirs
        torch.cuda.empty_cache()
    for M, V, d in ((65536, 256, 384), (16384, 50280, 768)):
        dx, table = torch.randn(M, d, device="cuda"), torch.zeros(V, d, device="cuda")
        out = torch.empty(M, d, device="cuda")
        for ids in ("random", "zipf"):
            i = torch.randint(0, V, (M,), device="cuda") if ids == "random" else (V ** torch.rand(M, device="cuda", dtype=torch.float64)).long().clamp(max=V - 1)
            hit = int(i.unique().numel())
            op = EmbeddingGradient(dx, i, table)
            row(f"embedding gradient M {M} V {V} d {d} {ids}", op.backward, (M + 2 * hit) * d * 4e-9, lambda: torch.ops.aten.embedding_dense_backward(dx, i, V, -1, False))
            row("    its sort", op.sort, M * 16e-9)
        row(f"embedding M {M} V {V} d {d}", lambda: gather(table, i, out), 2 * M * d * 4e-9, lambda: F.embedding(i, table))
        del dx, table, out
    torch.cuda.empty_cache()
    for d, vocabulary in ((768, 50280), (384, 256)):
        shapes = mamba_shapes(d, 24, vocabulary)
        es = entries(shapes)
        total = sum(e[0].numel() for e in es)
        copied = sum(e[0].numel() for e in es if e[4] is not None)
        params = [torch.nn.Parameter(e[0].clone()) for e in es]
        for p in params:
            p.grad = torch.randn_like(p)
        theirs = torch.optim.AdamW(params, lr=torch.tensor(1e-3, device="cuda"), fused=True, capturable=True)

        def their_step():
            torch.nn.utils.clip_grad_norm_(params, 1.0, foreach=True)
            theirs.step()

        op = AdamW(es)
        op.rate.fill_(1e-3)
        row(f"AdamW, norm, clip; {total / 1e6:.1f} M parameters", op.step, (32 * total + 2 * copied) * 1e-9, their_step, calls=3)
        row("    its update alone", lambda: op.launch("adamw_update"), (28 * total + 2 * copied) * 1e-9, theirs.step, calls=3)
        row("    its norm alone", lambda: op.launch("adamw_norm"), 4 * total * 1e-9, calls=3)
        row("    its preparation alone", lambda: op.launch("adamw_prepare"), 1e-9, calls=3)
        row("    clearing gradients", lambda: op.launch("adamw_clear"), 4 * total * 1e-9, lambda: torch._foreach_zero_([e[1] for e in es]), calls=3)
        del es, params, theirs, op
        torch.cuda.empty_cache()
    if path:
        with open(path, "w") as out:
            json.dump(dict(result, rows=rows), out, indent=1)
    return True


def sweep():
    import torch
    from kernels import median_us
    from memory import AdamW, CrossEntropy, EmbeddingGradient, Norm

    def one_chunk(logits, targets, threads):
        op = CrossEntropy(logits, targets, threads=threads)
        op.normaliser()
        return op.chunk

    def times(what, variants, calls=10):
        line = []
        for name, make in variants:
            try:
                f = make()
                line.append(f"{name}: {median_us(lambda: [f() for _ in range(calls)], calls):.1f}")
            except Exception as e:
                line.append(f"{name}: {str(e)[-60:]}")
        print(f"{what:40}", "  ".join(line), flush=True)

    for M, d in ((16384, 768), (65536, 384)):
        x, w, s = torch.randn(M, d, device="cuda"), torch.randn(d, device="cuda"), torch.rand(M, device="cuda")
        dn, dr, c = torch.randn(M, d, device="cuda").bfloat16(), torch.randn(M, d, device="cuda"), torch.randn(M, d, device="cuda").bfloat16()
        dw = torch.empty(d, device="cuda")

        def backward(blocks):
            op = Norm(w, 1e-5, blocks)
            return lambda: op.backward(dn, x, s, dr, dr, c, dw, False)

        times(f"norm backward M {M} d {d}, blocks per SM", [(str(b), lambda b=b: backward(b)) for b in (1, 2, 3, 4)])
    for M, V, d in ((65536, 256, 384), (16384, 50280, 768)):
        dx, table = torch.randn(M, d, device="cuda"), torch.zeros(V, d, device="cuda")
        i = torch.randint(0, V, (M,), device="cuda")
        times(f"embedding sort M {M} V {V}, items", [(str(n), lambda n=n: EmbeddingGradient(dx, i, table, ITEMS=n).sort) for n in (2, 4, 8)])
        times(f"embedding gradient M {M} V {V}, run, ahead", [
            (f"{r} {h}", lambda r=r, h=h: EmbeddingGradient(dx, i, table, RUN=r, AHEAD=h).backward) for r, h in ((8, 4), (8, 8), (16, 4), (16, 8), (16, 16), (32, 4), (32, 8), (32, 16))])
        op = EmbeddingGradient(dx, i, table)
        passes = op.sort()
        tiles = -(-d // 128)
        times("    parts", [(k, lambda k=k, g=g: lambda: op.m.launch(k, g, 256, op.params(passes))) for k, g in (
            ("embedding_sum", (-(-op.runs * tiles // 8), 1, 1)), ("embedding_join", (op.runs, tiles, 1)))])
    logits = torch.randn(2048, 300000, device="cuda", dtype=torch.bfloat16)
    targets = torch.randint(0, 300000, (2048,), device="cuda")
    times("cross entropy M 2048 V 300000, threads", [(str(t), lambda t=t: one_chunk(logits, targets, t)) for t in (256, 512, 1024)], 2)
    del logits
    for M, V, bf16 in ((16384, 50280, 1), (4096, 50280, 0), (16384, 8192, 1)):
        logits = torch.randn(M, V, device="cuda", dtype=torch.bfloat16 if bf16 else torch.float32)
        targets = torch.randint(0, V, (M,), device="cuda")

        times(f"cross entropy M {M} V {V} bf16 {bf16}, threads", [(str(t), lambda t=t: one_chunk(logits, targets, t)) for t in (128, 256, 384, 512, 768, 1024)], 2)
        del logits
    logits = torch.randn(65536, 256, device="cuda", dtype=torch.bfloat16)
    targets = torch.randint(0, 256, (65536,), device="cuda")

    def short(lanes):
        op = CrossEntropy(logits, targets, lanes=lanes)
        op.normaliser()
        return op.chunk

    times("cross entropy M 65536 V 256, lanes", [(str(n), lambda n=n: short(n)) for n in (4, 8, 16, 32)])
    for d, vocabulary in ((768, 50280), (384, 256)):
        es = entries(mamba_shapes(d, 24, vocabulary))

        def adam(chunk):
            op = AdamW(es, CHUNK=chunk)
            return op.step

        times(f"AdamW d {d}, elements of a piece", [(str(c), lambda c=c: adam(c)) for c in (2048, 4096, 8192)], 2)
        del es
    return True
