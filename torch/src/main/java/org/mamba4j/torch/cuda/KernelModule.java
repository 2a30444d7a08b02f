package org.mamba4j.torch.cuda;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.cuda.cudart.cudaDeviceProp;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * The kernels of one CUDA C++ resource compiled with one set of options for the current device. Modules are compiled on
 * first use, loaded once per device and kept for the life of the process.
 */
public final class KernelModule {
    private static final Map<Key, KernelModule> LOADED = new ConcurrentHashMap<>();

    private final MemorySegment module;
    private final Map<String, CudaKernel> kernels = new ConcurrentHashMap<>();
    private final Map<String, int[]> constants = new ConcurrentHashMap<>();

    private KernelModule(MemorySegment module) {
        this.module = module;
    }

    /**
     * The module of resource {@code file} beside {@code owner}, for the current device.
     *
     * @param options for example {@code -DSTATE=16}; part of what identifies the module
     */
    public static KernelModule load(Class<?> owner, String file, List<String> options) {
        Driver.useContext(torch_cuda.current_device());
        Key key = new Key(owner, file, List.copyOf(options), torch_cuda.current_device());
        return LOADED.computeIfAbsent(key, KernelModule::open);
    }

    /** The {@code extern "C"} kernel {@code name}. */
    public CudaKernel kernel(String name) {
        return kernels.computeIfAbsent(name, n -> new CudaKernel(Driver.function(module, n)));
    }

    /** The {@code __device__} array of ints {@code name}: sizes that kernel and host must agree on. */
    public int[] ints(String name) {
        return constants.computeIfAbsent(name, n -> Driver.ints(module, n)).clone();
    }

    private static KernelModule open(Key key) {
        KernelSource source = KernelSource.resource(key.owner, key.file, key.options);
        return new KernelModule(Driver.loadModule(source.compile(architecture(), KernelSource.defaultCache())));
    }

    private static String architecture() {
        cudaDeviceProp properties = torch_cuda.getCurrentDeviceProperties();
        return "sm_" + properties.major() + properties.minor();
    }

    private record Key(Class<?> owner, String file, List<String> options, byte device) {}
}
