"""The operations as the Java side launches them: workspaces, grids and the cut of L into ranges."""
import torch

from loader import ConvParams, Module, ScanParams

# Microseconds that a multiprocessor takes for a tile of each of its k blocks: a + b k, up to the `resident` that fit at
# once; what is more comes after. Fitted to sweeps on an H200 with bfloat16 and N = 16.
FORWARD, BACKWARD = (0.5, 0.8, 4), (5.1, 1.4, 3)


def pick_splits(tiles, blocks, cost, sms):
    """Into how many ranges to cut `tiles` tiles of time, given the blocks that one range makes (channel tiles x batch).

    With more than one range, finding the states at their edges is taken as 0.6 microseconds for a tile of each block of a
    multiprocessor, over 128 tiles (it depends on how long the data's past is remembered), and walking over them as a
    quarter of a microsecond each."""
    a, b, resident = cost

    def scan(per, splits):
        full, rest = divmod(-(-blocks * splits // sms), resident)
        return per * (full * (a + b * resident) + (a + b * rest if rest else 0))

    best = (scan(tiles, 1), 1)
    for per in range(1, tiles):
        splits = -(-tiles // per)
        best = min(best, (scan(per, splits) + 0.6 * (splits - 1) * min(per, 128) * blocks / sms + 0.25 * splits + 6, splits))
    return best[1]


def _ptr(t):
    return None if t is None else t.data_ptr()


def _aligned(*tensors):
    return all(t is None or (t.data_ptr() % 16 == 0 and t.stride(0) * t.element_size() % 16 == 0
                             and t.stride(1) * t.element_size() % 16 == 0) for t in tensors)


class Scan:
    """One selective scan. u, delta, z: (batch, L, D); B, C: (batch, L, N), last dimension contiguous; the rest as in
    selective_scan.cuh. forward() then backward(dout); outputs are attributes, allocated like their inputs."""

    def __init__(self, u, delta, A, B, C, z=None, skip=None, bias=None, h0=None, reset=None, softplus=True, splits=None,
                 save=True, splits_back=None, poison=False):
        self.i = dict(u=u, delta=delta, z=z, B=B, C=C, A=A, skip=skip, bias=bias, h0=h0, reset=reset)
        self.batch, self.L, self.D = u.shape
        self.N, self.softplus, self.poison = A.shape[1], softplus, poison
        opts = dict(STATES=self.N, IO_BF16=int(u.dtype == torch.bfloat16), RESETS=int(reset is not None))
        self.fm, self.cm, self.bm = (Module.of("selective_scan_" + n, **opts) for n in ("forward", "carry", "backward"))
        self.fg = self.fm.ints("selective_scan_forward_geometry", 6)
        self.bg = self.bm.ints("selective_scan_backward_geometry", 6)
        self.cg = self.cm.ints("selective_scan_carry_geometry", 2)
        self.tile, self.npad = self.fg[3], self.fg[4]
        self.tiles = -(-self.L // self.tile)
        sms = torch.cuda.get_device_properties(u.device).multi_processor_count
        self.splits = splits or pick_splits(self.tiles, -(-self.D // self.fg[0]) * self.batch, FORWARD, sms)
        self.splits_back = splits_back or pick_splits(self.tiles, -(-self.D // self.bg[0]) * self.batch, BACKWARD, sms)
        dev, f = u.device, torch.float32
        self.out = self._like(u)
        self.hLast = self._new((self.batch, self.D, self.N), f, dev)
        self.states = self._new((self.batch, self.tiles * self.tile // self.fg[5], self.D, self.N), u.dtype, dev) if save else None
        ranges = max(self.splits, self.splits_back)
        self.ends, self.factors = (self._new((self.batch, ranges, self.D, self.N), f, dev) if ranges > 1 else None for _ in range(2))

    def _new(self, shape, dtype, device):
        t = torch.empty(shape, dtype=dtype, device=device)
        return t.fill_(float("nan")) if self.poison else t

    def _like(self, t):
        r = torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device) if t is not None else None
        return r.fill_(float("nan")) if self.poison and r is not None else r

    def params(self, splits, **more):
        i, p = dict(self.i, out=self.out, **more), ScanParams()
        for name, value in dict(i, hLast=self.hLast, states=self.states, ends=self.ends, factors=self.factors).items():
            setattr(p, name, _ptr(value))
        for name, short in [(n, n) for n in ("u", "delta", "z", "out", "dout", "du", "ddelta", "dz")] + [
                ("B", "b"), ("C", "c"), ("dB", "dB"), ("dC", "dC")]:
            t = i.get(name)
            if t is not None:
                setattr(p, short + "B", t.stride(0))
                setattr(p, short + "L", t.stride(1))
        p.L, p.D, p.batch, p.softplus = self.L, self.D, self.batch, int(self.softplus)
        p.tilesPerSplit = -(-self.tiles // splits)
        p.splits = -(-self.tiles // p.tilesPerSplit)
        wide = _aligned(*[i.get(n) for n in ("u", "delta", "z", "out", "dout", "du", "ddelta", "dz")])
        p.aligned = int(wide) + 2 * int(_aligned(i["B"], i["C"]))
        return p

    def carries(self, p, prefix):
        if p.splits > 1:
            channels, threads = self.cg
            self.cm.launch(f"selective_scan_{prefix}range_ends", (-(-self.D // channels), p.splits - 1, self.batch), threads, p)
            if prefix:
                self.cm.launch("selective_scan_adjoint_carry", (-(-self.D * self.N // 256), self.batch, 1), 256, p)

    def forward(self):
        p = self.params(self.splits)
        self.carries(p, "")
        self.fm.launch("selective_scan_forward", (-(-self.D // self.fg[0]), p.splits, self.batch), self.fg[1], p)
        return self.out

    def prepare_backward(self, dout, dhLast=None):
        dev, f, i = dout.device, torch.float32, self.i
        self.g = dict(dout=dout, dhLast=dhLast, **{"d" + n: self._like(i[n]) for n in ("u", "delta", "z", "B", "C", "A", "skip", "bias")})
        self.g["dh0"] = self._new((self.batch, self.D, self.N), f, dev)
        tiles, parts = -(-self.D // self.bg[0]), self.batch * self.splits_back
        self.g["partBC"] = self._new((tiles, self.batch, self.L, 2 * self.npad), dout.dtype, dev)
        self.g["partA"], self.g["partV"] = self._new((parts, self.D, self.N), f, dev), self._new((parts, 2, self.D), f, dev)

    def backward(self):
        p = self.params(self.splits_back, **self.g)
        self.carries(p, "adjoint_")
        self.bm.launch("selective_scan_backward", (-(-self.D // self.bg[0]), p.splits, self.batch), self.bg[1], p, self.bg[2])
        self.bm.launch("selective_scan_sum_bc", (-(-self.batch * self.L * self.npad // 2 // 256), 1, 1), 256, p)
        self.bm.launch("selective_scan_sum_parameters", (-(-self.D * (self.N + 2) // 256), 1, 1), 256, p)
        return self.g


def reference_scan(u, delta, A, B, C, z=None, skip=None, bias=None, h0=None, reset=None, softplus=True, dout=None, dhLast=None):
    """The plain kernels in double on float32 copies; returns a dictionary of results and, with dout, gradients."""
    def wide(t):
        return None if t is None else t.float().contiguous()
    batch, L, D = u.shape
    N, dev = A.shape[1], u.device
    s = Scan.__new__(Scan)
    s.i = dict(u=wide(u), delta=wide(delta), z=wide(z), B=wide(B), C=wide(C), A=A, skip=skip, bias=bias, h0=h0, reset=reset)
    s.batch, s.L, s.D, s.N, s.softplus, s.tiles, s.poison = batch, L, D, N, softplus, 1, False
    s.out, s.hLast, s.states, s.factors, s.ends = torch.empty_like(s.i["u"]), torch.empty(batch, D, N, device=dev), None, None, None
    m = Module.of("selective_scan_reference", STATES=N, IO_BF16=0)
    grid = (-(-D // 32), batch, 1)
    m.launch("selective_scan_reference_forward", grid, 32, s.params(1))
    r = dict(out=s.out, hLast=s.hLast)
    if dout is not None:
        g = dict(dout=wide(dout), dhLast=dhLast, du=torch.empty_like(s.out), ddelta=torch.empty_like(s.out),
                 dz=torch.empty_like(s.out) if z is not None else None, dh0=torch.empty(batch, D, N, device=dev))
        for n in ("B", "C", "A", "skip", "bias"):
            g["d" + n] = torch.zeros(s.i[n].shape, dtype=torch.float64, device=dev) if s.i[n] is not None else None
        s.ends = torch.empty(batch, L, D, N, dtype=torch.float64, device=dev)
        m.launch("selective_scan_reference_backward", grid, 32, s.params(1, **g))
        r.update({k: v for k, v in g.items() if k not in ("dout", "dhLast")})
    return r


class Conv:
    """Causal depthwise convolution. x: (batch, L, D), weight: (D, W) float32."""

    def __init__(self, x, weight, bias=None, reset=None, before=None, silu=True, poison=False):
        self.x, self.weight, self.bias, self.reset, self.before, self.silu = x, weight, bias, reset, before, silu
        self.batch, self.L, self.D = x.shape
        self.W = weight.shape[1]
        self.m = Module.of("causal_conv", CONV_W=self.W, IO_BF16=int(x.dtype == torch.bfloat16), RESETS=int(reset is not None), SILU=int(silu),
                           START_GRADIENT=int(before is not None))
        self.steps = self.m.ints("causal_conv_geometry", 2)
        self.blocks = -(-self.D // 128)
        self.out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        if poison:
            self.out.fill_(float("nan"))

    def params(self, **more):
        p = ConvParams()
        tensors = dict(x=self.x, before=self.before, weight=self.weight, bias=self.bias, reset=self.reset, out=self.out, **more)
        for name, value in tensors.items():
            setattr(p, name, _ptr(value))
            if name in ("x", "out", "dout", "dx"):
                setattr(p, name + "B", value.stride(0))
                setattr(p, name + "L", value.stride(1))
        p.L, p.D, p.parts = self.L, self.D, self.batch * -(-self.L // self.steps[1])
        p.aligned = int(_aligned(*[tensors.get(n) for n in ("x", "out", "dout", "dx")]))
        p.aligned += 2 * int(self.weight.data_ptr() % 16 == 0)
        return p

    def forward(self):
        self.m.launch("causal_conv_forward", (self.blocks, -(-self.L // self.steps[0]), self.batch), 256, self.params(), early=True)
        return self.out

    def prepare_backward(self, dout, dx=None):
        dev = dout.device
        self.g = dict(dout=dout, dx=torch.empty_like(dout) if dx is None else dx, dweight=torch.empty_like(self.weight),
                      dbias=None if self.bias is None else torch.empty_like(self.bias),
                      dbefore=None if self.before is None else torch.full(self.before.shape, float("nan"), device=dev),
                      partial=torch.empty(self.batch * -(-self.L // self.steps[1]), self.W + 1, self.D, device=dev))

    def backward(self):
        p = self.params(**self.g)
        self.m.launch("causal_conv_backward", (self.blocks, -(-self.L // self.steps[1]), self.batch), 256, p, early=True)
        self.m.launch("causal_conv_sum_parameters", (-(-self.D * (self.W + 1) // 32), 1, 1), 256, p, early=True)
        return self.g
