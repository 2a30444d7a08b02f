"""Checks the kernels bound by device memory against PyTorch in float64, then times them beside PyTorch's own.

    python3 dev/gpu/elementwise.py build              compile what the checks use, in parallel (needs no GPU)
    python3 dev/gpu/elementwise.py check              contract shapes; each kernel twice: the same bits
    python3 dev/gpu/elementwise.py bench [--json F]   the figures of docs/performance.md
    python3 dev/gpu/elementwise.py sweep              block sizes and the like
    python3 dev/gpu/elementwise.py sanitize           a few small shapes, for compute-sanitizer
"""
import argparse
import sys
import time
import traceback

from elementwise_bench import bench, entries, placed, sweep

IGNORED = -100
NAN = float("nan")


def norm_cases(small):
    """M, d, bf16, addend, copy, residual, offset in elements"""
    if small:
        return [(5, 40, 1, 2, 2, True, 0), (9, 13, 0, 1, 0, True, 1), (3, 2000, 1, 0, 2, False, 0)]
    cases = [(m, d, b, a, c, r, 0) for m, d in ((1, 1), (7, 13), (33, 128), (64, 384), (515, 768), (3, 1024)) for b in (0, 1)
             for a, c, r in ((0, 0, True), (2, 2, True), (1, 1, False))]
    cases += [(m, d, 1, 2, 2, True, 0) for m, d in ((0, 384), (17, 1025), (2, 2048), (9, 2500), (5, 4096), (31, 8192), (2, 8191), (3001, 100))]
    return cases + [(37, 384, b, 2, 2, True, 1) for b in (0, 1)] + [(1000, 768, 1, 0, 0, False, 0), (9, 5120, 0, 1, 1, True, 3)]


def cross_entropy_cases(small):
    """M, V, bf16, extra stride, offset"""
    if small:
        return [(5, 13, 1, 0, 1), (3, 256, 1, 0, 0), (2, 5000, 1, 3, 1), (2, 5000, 0, 0, 0), (1, 300001, 0, 0, 0)]
    sizes = (2, 3, 7, 8, 9, 31, 63, 64, 65, 250, 256, 257, 511, 512, 1021, 1024, 2040, 2047, 2048, 2049, 4099, 8192, 32003, 50277, 50280)
    cases = [(37, v, b, e, o) for v in sizes for b, e, o in ((1, 0, 0), (0, 0, 0), (1, 3, 1), (0, 1, 1))]
    return cases + [(5, 300000, 1, 0, 0), (3, 300000, 0, 0, 0), (3, 299999, 1, 0, 3), (9, 115700, 1, 4, 0), (1, 50280, 1, 0, 0), (0, 256, 1, 0, 0), (10007, 256, 1, 0, 0)]


def compile_one(job):
    from loader import compile_cubin
    compile_cubin(job[0], dict(job[1]))


def build():
    """What the checks compile, as the operations would name it."""
    import multiprocessing
    jobs = {("adamw", (("IO_BF16", 0),))}
    jobs |= {("embedding", tuple(dict(IO_BF16=b, WIDE=w).items())) for b in (0, 1) for w in (0, 1)}
    for m, d, b, a, c, r, o in norm_cases(False):
        wide = int(o == 0 and d % 4 == 0)
        jobs.add(("rms_norm", (("IO_BF16", b), ("WIDTH", d), ("WIDE", wide), ("ADDEND", a), ("COPY", 0))))
        jobs.add(("rms_norm", (("IO_BF16", b), ("WIDTH", d), ("WIDE", wide), ("ADDEND", 0), ("COPY", c))))
    jobs.add(("cross_entropy", (("IO_BF16", 0),)))
    for m, v, b, e, o in cross_entropy_cases(False):
        per = 8 if b else 4
        aligned = int(o == 0 and (v + e) % per == 0)
        chunks = -(-(v + (0 if aligned else per - 1)) // per)
        lanes, threads = 4, 128
        while lanes < 32 and lanes * 4 < chunks:
            lanes *= 2
        while threads < 512 and threads * 8 < chunks:
            threads *= 2
        jobs.add(("cross_entropy", (("IO_BF16", b), ("VOCABULARY", v), ("ALIGNED", aligned), ("GRADIENT", 1), ("KEEP", int(chunks * 16 <= 226 * 1024)),
                                    ("ROW_THREADS", threads), ("LANES", lanes if chunks <= 8 * lanes else 32))))
    with multiprocessing.Pool() as pool:
        pool.map(compile_one, sorted(jobs), chunksize=1)
    print(len(jobs), "variants")
    return True


def fault(what, got, want, rtol, atol):
    """None where `got` is near `want` element by element, and not a number where that is not."""
    import torch
    got, want = got.double(), want.double()
    if got.shape != want.shape:
        return f"{what}: shape {tuple(got.shape)}, wanted {tuple(want.shape)}"
    same = (got == want) | (got.isnan() & want.isnan())
    bad = ~(same | ((got - want).abs() <= atol + rtol * want.abs()))
    if not bad.any():
        return None
    i = int(bad.flatten().nonzero()[0])
    return f"{what}: {int(bad.sum())} of {bad.numel()} wrong, first at {i}: {got.flatten()[i].item():.8g}, wanted {want.flatten()[i].item():.8g}"


def report(what, faults):
    faults = [f for f in faults if f]
    if faults:
        print("FAIL", what, *["\n       " + f for f in faults], flush=True)
    return not faults


def check_norm(M, d, bf16, addend, copy, residual, offset):
    import torch
    from memory import Norm
    g = torch.Generator(device="cuda").manual_seed(M * 31 + d)
    types = {0: None, 1: torch.float32, 2: torch.bfloat16}
    io = torch.bfloat16 if bf16 else torch.float32

    def rand(*shape, dtype=torch.float32):
        return placed(torch.randn(*shape, generator=g, device="cuda").to(dtype), offset)

    x, w = rand(M, d) * 3, rand(d)
    x = placed(x, offset)
    a = rand(M, d, dtype=types[addend]) if addend else None
    dn, dr = rand(M, d, dtype=io), rand(M, d) if residual else None
    before = rand(d)
    faults = []
    eps = 1e-5
    r, at = (4e-3 if bf16 else 3e-6), 1e-6
    total = x.double() + (a.double() if a is not None else 0)
    f32_total = total.float()
    leaf, leafw = f32_total.double().requires_grad_(), w.double().requires_grad_()
    scale = (leaf.pow(2).mean(1) + eps).rsqrt()
    want = leaf * scale.unsqueeze(1) * leafw
    want.backward(dn.double())
    first = None
    for again in range(2):
        op = Norm(w, eps)
        normed, s = placed(torch.full((M, d), NAN, device="cuda", dtype=io), offset), torch.full((M,), NAN, device="cuda")
        total_got = placed(torch.full((M, d), NAN, device="cuda"), offset) if addend else None
        if addend == 1:                                           # in place of x
            total_got = placed(x, offset)
            op.forward(total_got, normed, s, a, total_got)
        else:
            op.forward(x, normed, s, a, total_got)
        read = total_got if addend else x
        dx = placed(dr, offset) if residual and copy != 1 else placed(torch.full((M, d), NAN, device="cuda"), offset)
        c = placed(torch.full((M, d), NAN, device="cuda", dtype=types[copy]), offset) if copy else None
        dw = placed(before, offset)
        op.backward(dn, read, s, (dx if copy != 1 else dr) if residual else None, dx, c, dw, add=bool(addend))
        results = [normed, s, dx, dw] + ([c] if copy else []) + ([total_got] if addend else [])
        if first is None:
            first = results
        elif not all(torch.equal(p, q) for p, q in zip(first, results)):
            faults.append("two runs differ")
    if addend:
        faults.append(fault("sum", total_got, f32_total, 0, 0))
    faults.append(fault("normed", normed, want.detach(), r, at))
    faults.append(fault("scale", s, scale.detach(), 2e-6, 0))
    wantdx = leaf.grad + (dr.double() if residual else 0)
    faults.append(fault("dx", dx, wantdx, 3e-6, 1e-5 * max(1.0, float(wantdx.abs().max()) if M else 1.0)))
    if copy:
        faults.append(fault("copy", c, dx.to(types[copy]), 0, 0))
    wantdw = leafw.grad + (before.double() if addend else 0)
    faults.append(fault("dweight", dw, wantdw, 1e-5, 2e-6 * max(1, M) ** 0.5 * 10))
    return report(f"norm M{M} d{d} bf16 {bf16} addend {addend} copy {copy} residual {residual} offset {offset}", faults)


def loss_reference(logits, targets, weights):
    """Loss, gradient in float64."""
    import torch
    leaf = logits.double().requires_grad_()
    each = torch.nn.functional.cross_entropy(leaf, targets, reduction="none", ignore_index=IGNORED)
    loss = each.sum() / (targets != IGNORED).sum() if weights is None else (each * weights.double()).sum() / weights.double().sum()
    if logits.shape[0]:
        loss.backward()
    return loss.detach(), leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)


def check_cross_entropy(M, V, bf16, extra, offset, weighted=False, ignore=0.2, chunk=None, special=None):
    import torch
    from memory import CrossEntropy
    g = torch.Generator(device="cuda").manual_seed(M * 31 + V)
    io = torch.bfloat16 if bf16 else torch.float32
    logits = (torch.randn(M, V, generator=g, device="cuda") * 4).to(io)
    targets = torch.randint(0, V, (M,), generator=g, device="cuda")
    targets[torch.rand(M, generator=g, device="cuda") < ignore] = IGNORED
    if M and ignore < 1:
        targets[0] = V - 1
    weights = torch.rand(M, generator=g, device="cuda") if weighted else None
    if weighted:
        weights[1::3] = 0
    if special == "masked":
        logits[:, ::2] = float("-inf")
        targets = torch.where(targets >= 0, (targets | 1).clamp(max=V - 1 - V % 2), targets)
    elif special == "minus":
        logits[0, :] = float("-inf")
    elif special in ("inf", "nan"):
        logits[0, V // 2] = float(special)
    elif special == "ignored nan":
        targets[0] = IGNORED
        logits[0, V // 2] = NAN
    elif special == "huge":
        logits *= 1e4
    want, grad = loss_reference(logits, targets, weights)
    if special == "outside":
        targets[0] = V
        want = torch.tensor(NAN)
    runs = []
    for rows in (None, chunk or max(1, M // 3)):
        room = torch.full((offset + M * (V + extra),), 7.0, dtype=io, device="cuda")
        held = room[offset:].view(M, V + extra)
        held[:, :V] = logits
        op = CrossEntropy(held[:, :V], targets, weights)
        op.normaliser()
        for at in range(0, M, rows or max(1, M)):
            op.chunk(at, min(rows or M, M - at))
        op.sum()
        runs.append((op.loss.clone(), held))
    faults = []
    if not (torch.equal(runs[0][0], runs[1][0]) or runs[0][0].isnan().all() and runs[1][0].isnan().all()):
        faults.append("loss depends on chunks")
    if not torch.equal(runs[0][1].nan_to_num(1e30), runs[1][1].nan_to_num(1e30)):
        faults.append("gradient depends on chunks")
    loss, held = runs[1]
    faults.append(fault("loss", loss[0], want.to("cuda"), 3e-6 if special != "huge" else 1e-5, 1e-6))
    if extra:
        faults.append(fault("padding", held[:, V:], torch.full_like(held[:, V:], 7.0), 0, 0))
    if special == "ignored nan":
        grad[0] = 0                                               # PyTorch's is not a number there
    if special in (None, "masked", "huge", "ignored nan") and ignore < 1 and M:
        count = float(weights.sum()) if weighted else int((targets != IGNORED).sum())
        faults.append(fault("gradient", held[:, :V], grad, 4e-3 if bf16 else 2e-5, 2e-6 / count))
    elif ignore >= 1:
        faults.append(fault("gradient", held[:, :V], torch.zeros_like(held[:, :V]), 0, 0))
    return report(f"cross entropy M{M} V{V} bf16 {bf16} extra {extra} offset {offset} weighted {weighted} ignore {ignore} {special or ''}", faults)


def check_embedding(M, V, d, bf16, ids="random", offset=0):
    import torch
    from memory import EmbeddingGradient, gather
    g = torch.Generator(device="cuda").manual_seed(M * 31 + V)
    io = torch.bfloat16 if bf16 else torch.float32
    i = torch.randint(0, V, (M,), generator=g, device="cuda")
    if ids == "zipf":
        i = (V ** torch.rand(M, generator=g, device="cuda", dtype=torch.float64)).long().clamp(max=V - 1)
    elif ids == "one":
        i = torch.full((M,), V - 1, device="cuda")
    dx = placed(torch.randn(M, d, generator=g, device="cuda").to(io), offset)
    before = torch.randn(V, d, generator=g, device="cuda")
    runs = []
    for again in range(2):
        dtable = placed(before, offset)
        op = EmbeddingGradient(dx, i, dtable)
        op.backward()
        runs.append(dtable)
    faults = [None if torch.equal(*runs) else "two runs differ"]
    want, size = before.double(), before.double().abs()
    want.index_add_(0, i, dx.double())
    size.index_add_(0, i, dx.double().abs())
    faults.append(fault("gradient / sum of sizes", runs[0].double() / size.clamp(min=1e-3), want / size.clamp(min=1e-3), 0, 1e-6))
    table = placed(before.to(io), offset)
    out = placed(torch.full((M, d), NAN, device="cuda"), offset)
    gather(table, i, out)
    faults.append(fault("gathered", out, table[i].float(), 0, 0))
    return report(f"embedding M{M} V{V} d{d} bf16 {bf16} ids {ids} offset {offset}", faults)


def check_outside():
    """Ids outside of the table: a row that is not a number, and no access outside."""
    import torch
    from memory import EmbeddingGradient, gather
    ids = torch.tensor([1, -1, 5, 7, 1 << 40], device="cuda")
    out = torch.zeros(5, 8, device="cuda")
    gather(torch.ones(7, 8, device="cuda"), ids, out)
    bad = out.isnan().all(1).tolist()
    table = torch.zeros(7, 8, device="cuda")
    EmbeddingGradient(torch.ones(5, 8, device="cuda"), ids, table).backward()
    rows = table[:, 0].tolist()
    return report("ids outside", [None if bad == [False, True, False, True, True] and rows == [0, 1, 0, 0, 0, 1, 3] else f"{bad} {rows}"])


SHAPES = [(1,), (3,), (768,), (13, 17), (8191,), (64, 128), (8193,), (317, 331), (2, 3, 4), (100000, 3)]


def check_adamw(offset, scale, clip, factor=1.0, clear=False):
    import torch
    from memory import AdamW
    es = entries(SHAPES, offset=offset, scale=scale)
    params = [torch.nn.Parameter(e[0].clone()) for e in es]
    exact = [[t.double().clone() for t in (e[0], e[2], e[3])] for e in es]
    decay, b1, b2, eps = 0.1, 0.9, 0.95, 1e-8
    theirs = torch.optim.AdamW([dict(params=[p for p, e in zip(params, es) if e[5]], weight_decay=decay),
                                dict(params=[p for p, e in zip(params, es) if not e[5]], weight_decay=0.0)], lr=1e-3, betas=(b1, b2), eps=eps, fused=True)
    ours = AdamW(es, b1, b2, eps, decay, clip, factor, clear)
    faults, loss = [], torch.ones(1, device="cuda")
    for step in range(1, 5):
        rate = 1e-2 / step
        ours.rate.fill_(rate)
        for group in theirs.param_groups:
            group["lr"] = rate
        gen = torch.Generator(device="cuda").manual_seed(step)
        for e, p in zip(es, params):
            e[1].copy_(torch.randn(e[1].shape, generator=gen, device="cuda") * scale)
            p.grad = e[1] * factor
        norm = torch.cat([e[1].double() for e in es]).norm() * factor
        coefficient = min(1.0, clip / float(norm)) if clip else 1.0
        lr = float(torch.tensor(rate))                            # as float32 holds it
        for e, (x, m, v) in zip(es, exact):
            grad = e[1].double() * factor * coefficient
            x -= lr * (decay if e[5] else 0) * x
            m += (1 - b1) * (grad - m)
            v += (1 - b2) * (grad * grad - v)
            x -= lr * (m / (1 - b1 ** step)) / ((v / (1 - b2 ** step)).sqrt() + eps)
        if clip:
            torch.nn.utils.clip_grad_norm_(params, clip)
        theirs.step()
        ours.step(loss)
        faults.append(fault(f"norm {step}", ours.norm[0], norm, 2e-6, 0))
    for k, (e, p, (x, m, v)) in enumerate(zip(es, params, exact)):
        faults.append(fault(f"parameter {k}", e[0], x, 2e-6, 2e-6))
        faults.append(fault(f"parameter {k} beside PyTorch's", e[0], p.detach(), 4e-6, 4e-6))
        faults.append(fault(f"mean {k}", e[2], m, 2e-6, 1e-6 * float(m.abs().max())))
        faults.append(fault(f"square {k}", e[3], v, 3e-6, 1e-6 * float(v.abs().max())))
        if e[4] is not None:
            faults.append(fault(f"copy {k}", e[4], e[0].bfloat16(), 0, 0))
        if clear and e[1].any():
            faults.append(f"gradient {k} is not zero")
    faults.append(None if ours.steps.item() == 4 else "steps")
    held = [t.clone() for e in es for t in e[:1] + e[2:4]]
    for bad, where in ((float("inf"), 0), (NAN, 7), (1e30, 4)):
        es[where][1][-1] = bad
        ours.step(loss)
        es[where][1][-1] = 0
    ours.step(loss * NAN)
    ours.step(loss * float("inf"))
    if not all(torch.equal(a, b) for a, b in zip(held, [t for e in es for t in e[:1] + e[2:4]])) or ours.steps.item() != 4:
        faults.append("a step without a finite loss or norm has changed something")
    for e in es:
        e[1].fill_(1.0)
        if e[4] is not None:
            e[4].zero_()
    ours.launch("adamw_copy")
    ours.launch("adamw_clear")
    if not all(e[4] is None or torch.equal(e[4], e[0].bfloat16()) for e in es) or any(e[1].any() for e in es):
        faults.append("clear or copy")
    return report(f"adamw offset {offset} scale {scale} clip {clip} factor {factor} clear {clear}", faults)


def check(small=False):
    import torch
    jobs = [(check_norm, c, {}) for c in norm_cases(small)]
    for c in cross_entropy_cases(small):
        jobs += [(check_cross_entropy, c, dict(weighted=w)) for w in (False, True)]
    if not small:
        for v, b in ((9, 0), (256, 1), (5001, 1), (50280, 1)):
            jobs += [(check_cross_entropy, (37, v, b, 0, 0), dict(special=s)) for s in ("inf", "nan", "minus", "ignored nan", "outside", "huge")]
            jobs += [(check_cross_entropy, (37, v, b, 0, 0), dict(ignore=1.0)), (check_cross_entropy, (37, v, b, 0, 0), dict(ignore=0.0, chunk=5))]
        jobs += [(check_cross_entropy, (37, v, 1, 0, 0), dict(special="masked")) for v in (256, 50280)]
    sizes = [(40, 7, 20, 1, "random", 0), (70, 300, 13, 0, "zipf", 1)] if small else [
        (m, v, d, b, "random", 0) for m, v, d, b in (
            (0, 5, 8, 1), (1, 1, 1, 0), (31, 2, 8, 1), (32, 255, 384, 1), (33, 256, 384, 0), (2047, 257, 13, 1), (2048, 256, 128, 0), (2049, 70000, 129, 1),
            (65536, 256, 384, 0), (16384, 50280, 768, 0), (16384, 50280, 768, 1), (300007, 300000, 16, 0), (1000003, 256, 4, 0))] + [
        (m, v, d, b, i, o) for m, v, d, b, o in ((5000, 256, 64, 0, 0), (70000, 50280, 100, 1, 0), (3001, 1000, 30, 0, 1)) for i in ("zipf", "one")]
    jobs += [(check_embedding, c, {}) for c in sizes] + [(check_outside, (), {})]
    jobs += [(check_adamw, c, {}) for c in ([(1, 1.0, 1.0)] if small else [(0, 1.0, 1.0), (1, 1e-6, 1.0), (1, 100.0, 0.0), (0, 1.0, 1.0, 0.25, True), (0, 1e-3, 1e9)])]
    good = 0
    for f, args, kw in jobs:
        try:
            good += bool(f(*args, **kw))
            torch.cuda.synchronize()
        except Exception as e:
            print("FAIL", f.__name__, args, kw, "raised", traceback.format_exc(limit=3)[-600:], flush=True)
            if "CUDA" in str(e) or "cu" == str(e)[:2]:
                break                                             # the context is lost
    print(f"{good} of {len(jobs)} checks passed")
    return good == len(jobs)


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("what", nargs="+", choices=["build", "check", "bench", "sweep", "sanitize"])
    a.add_argument("--json")
    a = a.parse_args()
    good = True
    for what in a.what:
        start = time.time()
        good &= dict(build=build, check=check, bench=lambda: bench(a.json), sweep=sweep, sanitize=lambda: check(small=True))[what]()
        print(f"{what}: {'done' if good else 'FAILED'} in {time.time() - start:.0f} s", flush=True)
    sys.exit(0 if good else 1)
