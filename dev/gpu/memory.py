"""The operations bound by device memory, as the Java side launches them: RMSNorm, cross entropy, embedding, AdamW."""
import ctypes
import struct

import torch

from loader import Module

NO = ctypes.c_void_p


def _fields(name, **kinds):
    types = dict(p=NO, l=ctypes.c_int64, d=ctypes.c_double, f=ctypes.c_float, i=ctypes.c_int)
    return type(name, (ctypes.Structure,), {"_fields_": [(n, types[k]) for k, names in kinds.items() for n in names.split()]})


NormParams = type("NormParams", (ctypes.Structure,), {"_fields_": [
    (n, NO) for n in "x addend weight sum normed scale dnormed dresidual dx copy partial dweight".split()] + [
    ("M", ctypes.c_int64), ("eps", ctypes.c_float)] + [(n, ctypes.c_int) for n in "parts add unused".split()]})
CrossEntropyParams = _fields("CrossEntropyParams", p="logits targets weights normaliser losses loss", l="rows stride")
EmbeddingParams = _fields("EmbeddingParams", p="in_ ids out keys places sortedKeys sortedPlaces counts edges", l="M vocabulary",
                          i="d per blocks shift")
AdamParams = _fields("AdamParams", p="pieces squares loss rate steps norm control", d="beta1 beta2 factor clip", f="eps decay",
                     i="count clear")


def _fill(params, **values):
    for name, value in values.items():
        setattr(params, name, value.data_ptr() if isinstance(value, torch.Tensor) else value)
    return params


def _up(a, b):
    return -(-a // b)


def _begin_aligned(*tensors):
    return all(t is None or t.data_ptr() % 16 == 0 for t in tensors)


def _code(t):
    return 0 if t is None else 2 if t.dtype == torch.bfloat16 else 1


def _bf16(t):
    return int(t.dtype == torch.bfloat16)


class Norm:
    def __init__(self, weight, eps, blocks_per_sm=2, **macros):
        self.weight, self.eps, self.d, self.macros = weight, eps, weight.numel(), macros
        self.blocks = blocks_per_sm * torch.cuda.get_device_properties(weight.device).multi_processor_count
        self.partial = torch.full((self.blocks, self.d), float("nan"), device=weight.device)

    def _module(self, activations, addend, copy, aligned):
        return Module.of("rms_norm", IO_BF16=_bf16(activations), WIDTH=self.d, WIDE=int(aligned and self.d % 4 == 0),
                         ADDEND=_code(addend), COPY=_code(copy), **self.macros)

    def forward(self, x, normed, scale, addend=None, sum=None):
        m = self._module(normed, addend, None, _begin_aligned(x, addend, sum, normed, self.weight))
        p = _fill(NormParams(), x=x, addend=addend, weight=self.weight, sum=sum, normed=normed, scale=scale, M=x.shape[0], eps=self.eps)
        m.launch("rms_norm_forward", (_up(x.shape[0], m.ints("rms_norm_geometry", 1)[0]), 1, 1), 256, p)

    def backward(self, dnormed, x, scale, dresidual, dx, copy, dweight, add):
        m = self._module(dnormed, None, copy, _begin_aligned(dnormed, x, self.weight, dresidual, dx, copy, self.partial))
        if x.shape[0] == 0:
            return dweight if add else dweight.zero_()
        parts = min(self.blocks, _up(x.shape[0], m.ints("rms_norm_geometry", 1)[0]))
        p = _fill(NormParams(), x=x, weight=self.weight, scale=scale, dnormed=dnormed, dresidual=dresidual, dx=dx, copy=copy,
                  partial=self.partial, dweight=dweight, M=x.shape[0], eps=self.eps, parts=parts, add=int(add))
        m.launch("rms_norm_backward", (parts, 1, 1), 256, p)
        m.launch("rms_norm_sum_weight", (_up(self.d, 32), 1, 1), 512, p)


class CrossEntropy:
    """logits (M, V) with any row stride."""

    def __init__(self, logits, targets, weights=None, gradient=True, threads=None, lanes=None, **macros):
        self.logits, self.targets, self.weights = logits, targets, weights
        self.rows, v = logits.shape
        per = 16 // logits.element_size()
        aligned = logits.data_ptr() % 16 == 0 and logits.stride(0) % per == 0
        self.chunks = _up(v + (0 if aligned else per - 1), per)
        self.lanes = 4
        while self.lanes < 32 and self.lanes * 4 < self.chunks:
            self.lanes *= 2
        self.lanes = lanes or self.lanes
        self.small = self.chunks <= 8 * self.lanes
        self.threads = 128
        while self.threads < 512 and self.threads * 8 < self.chunks:
            self.threads *= 2
        self.threads = threads or self.threads
        self.keep = self.chunks * 16 <= 226 * 1024
        self.m = Module.of("cross_entropy", IO_BF16=_bf16(logits), VOCABULARY=v, ALIGNED=int(aligned), GRADIENT=int(gradient),
                           KEEP=int(self.keep), ROW_THREADS=self.threads, LANES=self.lanes if self.small else 32, **macros)
        self.sums = Module.of("cross_entropy", IO_BF16=0)
        nan = float("nan")
        self.losses = torch.full((self.rows,), nan, device=logits.device)
        self.number, self.loss = torch.full((1,), nan, device=logits.device), torch.full((1,), nan, device=logits.device)

    def params(self, first=0, rows=None):
        rows = self.rows if rows is None else rows
        cut = slice(first, first + rows)
        return _fill(CrossEntropyParams(), logits=self.logits[cut], targets=self.targets[cut], normaliser=self.number, loss=self.loss,
                     weights=None if self.weights is None else self.weights[cut], losses=self.losses[cut], rows=rows,
                     stride=self.logits.stride(0))

    def normaliser(self):
        self.sums.launch("cross_entropy_normaliser", (1, 1, 1), 1024, self.params())

    def chunk(self, first=0, rows=None):
        p = self.params(first, rows)
        if self.small:
            self.m.launch("cross_entropy_rows", (_up(p.rows * self.lanes, 256), 1, 1), 256, p)
        else:
            self.m.launch("cross_entropy_row", (p.rows, 1, 1), self.threads, p, self.chunks * 16 if self.keep else 0)

    def sum(self):
        self.sums.launch("cross_entropy_sum", (1, 1, 1), 1024, self.params())

    def all(self):
        self.normaliser()
        self.chunk()
        self.sum()


def gather(table, ids, out):
    m = Module.of("embedding", IO_BF16=_bf16(table), WIDE=int(_begin_aligned(table, out) and table.shape[1] % 4 == 0))
    p = _fill(EmbeddingParams(), in_=table, ids=ids, out=out, M=ids.shape[0], vocabulary=table.shape[0], d=table.shape[1])
    m.launch("embedding_forward", (_up(ids.shape[0] * _up(table.shape[1], 4), 256), 1, 1), 256, p)


class EmbeddingGradient:
    def __init__(self, dx, ids, dtable, **macros):
        self.dx, self.ids, self.dtable = dx, ids, dtable
        self.m = Module.of("embedding", IO_BF16=_bf16(dx), WIDE=int(_begin_aligned(dx, dtable) and dx.shape[1] % 4 == 0), **macros)
        keys, self.run = self.m.ints("embedding_geometry", 2)
        M, self.d, self.V = dx.shape[0], dx.shape[1], dtable.shape[0]
        self.per = keys * max(1, _up(M, keys * 128))
        self.blocks, self.runs = _up(M, self.per), _up(M, self.run)
        dev = dx.device
        self.sorted = [(torch.full((M,), -1, dtype=torch.int32, device=dev), torch.full((M,), -1, dtype=torch.int32, device=dev)) for _ in range(2)]
        self.counts = torch.full((self.blocks, 256), -1, dtype=torch.int32, device=dev)
        self.edges = torch.full((self.runs, 2, self.d), float("nan"), device=dev)

    def params(self, done):
        p = _fill(EmbeddingParams(), in_=self.dx, ids=self.ids, out=self.dtable, counts=self.counts, edges=self.edges, M=self.dx.shape[0],
                  vocabulary=self.V, d=self.d, per=self.per, blocks=self.blocks, shift=8 * done)
        if done:
            _fill(p, keys=self.sorted[(done + 1) % 2][0], places=self.sorted[(done + 1) % 2][1])
        return _fill(p, sortedKeys=self.sorted[done % 2][0], sortedPlaces=self.sorted[done % 2][1])

    def sort(self):
        passes = max(1, _up((self.V - 1).bit_length(), 8))
        for done in range(passes):
            for kernel in ("embedding_count", "embedding_scatter"):
                self.m.launch(kernel, (self.blocks, 1, 1), 256, self.params(done))
        return passes

    def backward(self):
        p = self.params(self.sort())
        tiles = _up(self.d, 128)
        self.m.launch("embedding_sum", (_up(self.runs * tiles, 8), 1, 1), 256, p)
        self.m.launch("embedding_join", (self.runs, tiles, 1), 256, p)


class AdamW:
    """entries: (master, gradient, mean, square, copy or None, decays[, greatest rate])"""

    def __init__(self, entries, beta1=0.9, beta2=0.95, eps=1e-8, decay=0.1, clip=1.0, factor=1.0, clear=False, **macros):
        self.m = Module.of("adamw", IO_BF16=0, **macros)
        chunk, controls = self.m.ints("adamw_geometry", 2)
        table = []
        for e in entries:
            flags = int(e[5]) | 2 * _begin_aligned(*e[:5])
            most = int.from_bytes(struct.pack("<d", e[6] if len(e) > 6 else float("inf")), "little")
            for at in range(0, e[0].numel(), chunk):
                count = min(chunk, e[0].numel() - at)
                table.append([t.data_ptr() + 4 * at for t in e[:4]] + [e[4].data_ptr() + 2 * at if e[4] is not None else 0, count | flags << 32, most])
        dev = entries[0][0].device
        self.entries, self.count = entries, len(table)
        self.pieces = torch.tensor(table, dtype=torch.int64).to(dev)
        self.squares, self.control = torch.empty(len(table), device=dev), torch.empty(controls, device=dev)
        self.rate, self.steps, self.norm = (torch.zeros(1, device=dev) for _ in range(3))
        self.settings = dict(beta1=beta1, beta2=beta2, eps=eps, decay=decay, clip=clip, factor=factor, clear=int(clear))

    def launch(self, kernel, loss=None):
        p = _fill(AdamParams(), pieces=self.pieces, squares=self.squares, loss=loss, rate=self.rate, steps=self.steps, norm=self.norm,
                  control=self.control, count=self.count, **self.settings)
        self.m.launch(kernel, (1 if kernel == "adamw_prepare" else self.count, 1, 1), 1024 if kernel == "adamw_prepare" else 256, p)

    def step(self, loss=None):
        for kernel in ("adamw_norm", "adamw_prepare", "adamw_update"):
            self.launch(kernel, loss)
