package org.mamba4j.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * Vector kernels of a forced width. The width is a constant of the package that implements them, so each width gets that
 * package loaded again.
 */
final class VectorWidths {
    private static final String PACKAGE = "org.mamba4j.kernel.vector.";
    private static final String PROPERTY = "mamba4j.vectorBits";
    private static final ConcurrentMap<Integer, ClassLoader> LOADERS = new ConcurrentHashMap<>();

    private VectorWidths() {}

    static SequenceKernels kernels(int bits, Workers workers) {
        SequenceKernels kernels = load("VectorKernels", SequenceKernels.class, bits, workers);
        requireWidth(kernels.name(), bits);
        return kernels;
    }

    static DenseKernels dense(int bits, Workers workers) {
        DenseKernels kernels = load("VectorDense", DenseKernels.class, bits, workers);
        requireWidth(kernels.name(), bits);
        return kernels;
    }

    private static void requireWidth(String name, int bits) {
        if (!name.equals("vector " + bits + " bits")) {
            throw new AssertionError("asked for " + bits + " bits, got " + name);
        }
    }

    private static synchronized <T> T load(String name, Class<T> type, int bits, Workers workers) {
        ClassLoader loader = LOADERS.computeIfAbsent(bits, Loader::new);
        String before = System.setProperty(PROPERTY, Integer.toString(bits));
        try {
            T kernels = Class.forName(PACKAGE + name, true, loader)
                    .asSubclass(type)
                    .getConstructor(Workers.class)
                    .newInstance(workers);
            Class.forName(PACKAGE + "Lanes", true, loader); // which reads the property
            return kernels;
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("cannot load " + PACKAGE, e);
        } finally {
            if (before == null) {
                System.clearProperty(PROPERTY);
            } else {
                System.setProperty(PROPERTY, before);
            }
        }
    }

    /** Loads the package itself before asking its parent. */
    private static final class Loader extends ClassLoader {
        Loader(int bits) {
            super("vector " + bits, VectorWidths.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith(PACKAGE)) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded != null ? loaded : define(name);
            }
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
                if (in == null) {
                    throw new ClassNotFoundException(name);
                }
                byte[] bytes = in.readAllBytes();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }
}
