"""Compiles the CUDA kernels with NVRTC and launches them on torch tensors, through ctypes alone.

Does by hand what the Java side does: source to CUBIN for one architecture (cached on disk by source and options), the
module loaded into the context that torch made, parameters passed as one structure, launches on torch's current stream.
"""
import ctypes
import glob
import hashlib
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = pathlib.Path(os.environ.get("KERNELS", HERE.parents[1] / "torch/src/main/resources/org/mamba4j/torch/kernel/cuda"))
CACHE = pathlib.Path(os.environ.get("KERNEL_CACHE", "/tmp/mamba4j-cubin"))


def _nvrtc():
    import sys
    for folder in [os.environ.get("NVRTC_DIR", "")] + sys.path:
        for pattern in ("libnvrtc.so*", "nvidia/*/lib/libnvrtc.so*"):
            for path in sorted(glob.glob(os.path.join(folder, pattern))) if folder else []:
                if "alt" not in path:
                    for builtins in glob.glob(os.path.join(os.path.dirname(path), "libnvrtc-builtins.so*")):
                        ctypes.CDLL(builtins, ctypes.RTLD_GLOBAL)
                    return ctypes.CDLL(path)
    return ctypes.CDLL("libnvrtc.so.13")


def compile_cubin(name, options, arch="sm_90"):
    """CUBIN of SOURCES/name.cu with the given -D options; headers travel with the source, as NVRTC needs them to."""
    headers = {p.name: p.read_bytes() for p in sorted([*SOURCES.glob("*.cuh"), *SOURCES.parents[1].glob("decode/cuda/*.cuh")])}
    file = SOURCES / (name + ".cu")
    source = (file if file.exists() else SOURCES.parents[1] / "decode/cuda" / (name + ".cu")).read_bytes()
    args = [f"--gpu-architecture={arch}", "--std=c++17", "-default-device"] + [f"-D{k}={v}" for k, v in sorted(options.items())]
    args += [f"-D{d}" for d in os.environ.get("DEFINES", "").split()]
    key = hashlib.sha256(b"\0".join([source, *headers.values(), *[a.encode() for a in args]])).hexdigest()[:24]
    cached = CACHE / f"{name}-{key}.cubin"
    if cached.exists():
        return cached.read_bytes()
    lib, program = _nvrtc(), ctypes.c_void_p()
    texts = (ctypes.c_char_p * len(headers))(*headers.values())
    names = (ctypes.c_char_p * len(headers))(*[n.encode() for n in headers])
    assert lib.nvrtcCreateProgram(ctypes.byref(program), source, f"{name}.cu".encode(), len(headers), texts, names) == 0
    status = lib.nvrtcCompileProgram(program, len(args), (ctypes.c_char_p * len(args))(*[a.encode() for a in args]))
    if status:
        size = ctypes.c_size_t()
        lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        lib.nvrtcGetProgramLog(program, log)
        raise RuntimeError(f"{name} {options}: {log.value.decode()}")
    size = ctypes.c_size_t()
    lib.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetCUBIN(program, cubin)
    lib.nvrtcDestroyProgram(ctypes.byref(program))
    CACHE.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(cubin.raw)
    return cubin.raw


_driver = None


def _cu(function, *args):
    global _driver
    if _driver is None:
        _driver = ctypes.CDLL("libcuda.so.1")
    status = getattr(_driver, function)(*args)
    if status:
        text = ctypes.c_char_p()
        _driver.cuGetErrorString(status, ctypes.byref(text))
        raise RuntimeError(f"{function}: {text.value.decode() if text.value else status}")


class Module:
    _loaded = {}

    def __init__(self, name, options):
        self.handle, self.functions, self.image = ctypes.c_void_p(), {}, compile_cubin(name, options)
        _cu("cuModuleLoadData", ctypes.byref(self.handle), self.image)

    @classmethod
    def of(cls, name, **options):
        key = (name, tuple(sorted(options.items())))
        if key not in cls._loaded:
            cls._loaded[key] = cls(name, options)
        return cls._loaded[key]

    def ints(self, name, count):
        """The integers of a __device__ array of the module."""
        address, size, out = ctypes.c_uint64(), ctypes.c_size_t(), (ctypes.c_int * count)()
        _cu("cuModuleGetGlobal_v2", ctypes.byref(address), ctypes.byref(size), self.handle, name.encode())
        assert size.value == 4 * count, (name, size.value)
        _cu("cuMemcpyDtoH_v2", out, address, size)
        return list(out)

    def launch(self, name, grid, block, params, shared=0, cooperative=False, early=False, wide=False):
        import torch
        if name not in self.functions:
            f = ctypes.c_void_p()
            _cu("cuModuleGetFunction", ctypes.byref(f), self.handle, name.encode())
            self.functions[name] = f
            if wide:                                                 # NON_PORTABLE_CLUSTER_SIZE_ALLOWED
                _cu("cuFuncSetAttribute", f, 14, 1)
            if shared > 16 * 1024:                                   # static shared memory counts too; exactly 48 KB is no leave
                _cu("cuFuncSetAttribute", f, 8, max(shared, 64 * 1024)) # MAX_DYNAMIC_SHARED_SIZE_BYTES
        if 0 in grid:
            return
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(params))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        if early:                                                   # programmatic dependent launch
            attribute = (ctypes.c_uint32 * 18)(6, 0, 1)
            config = LaunchConfig(*grid, block, 1, 1, shared, stream, ctypes.addressof(attribute), 1)
            _cu("cuLaunchKernelEx", ctypes.byref(config), self.functions[name], pointers, None)
        elif cooperative:
            _cu("cuLaunchCooperativeKernel", self.functions[name], *grid, block, 1, 1, shared, stream, pointers)
        else:
            _cu("cuLaunchKernel", self.functions[name], *grid, block, 1, 1, shared, stream, pointers, None)


class LaunchConfig(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_uint32) for n in "gx gy gz bx by bz shared".split()]
                + [("stream", ctypes.c_void_p), ("attributes", ctypes.c_void_p), ("count", ctypes.c_uint32)])


def struct(name, pointers, longs, ints):
    """A ctypes structure of pointers, then 64-bit, then 32-bit integers: the layout of the kernels' parameter structs."""
    fields = [(n, ctypes.c_void_p) for n in pointers.split()] + [(n, ctypes.c_int64) for n in longs.split()]
    return type(name, (ctypes.Structure,), {"_fields_": fields + [(n, ctypes.c_int) for n in ints.split()]})


ScanParams = struct(
    "ScanParams",
    "u delta z B C A skip bias h0 reset out hLast states ends factors dout dhLast du ddelta dz dB dC dA dskip dbias dh0 "
    "partBC partA partV",
    "uB uL deltaB deltaL zB zL bB bL cB cL outB outL doutB doutL duB duL ddeltaB ddeltaL dzB dzL dBB dBL dCB dCL L",
    "D batch splits tilesPerSplit softplus aligned")

ConvParams = struct(
    "ConvParams",
    "x before weight bias reset out dout dx dweight dbias dbefore partial",
    "xB xL outB outL doutB doutL dxB dxL L",
    "D aligned parts")
