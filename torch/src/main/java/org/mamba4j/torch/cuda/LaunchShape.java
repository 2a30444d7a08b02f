package org.mamba4j.torch.cuda;

/**
 * How many blocks of how many threads run a kernel.
 *
 * @param gridX blocks along x; y and z likewise (y and z at most 65,535)
 * @param blockX threads of a block along x; the product of the three at most 1,024
 * @param sharedBytes dynamic shared memory of a block
 * @param start when its blocks may start
 */
public record LaunchShape(
        int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ, int sharedBytes, Start start) {
    /** When a launch may start. */
    public enum Start {
        /** When the kernel before has ended. */
        AFTER,
        /** When the kernel before has ended, and all blocks fit on the GPU, since they wait for each other. */
        ALL_AT_ONCE,
        /** When the kernel before lets it; the kernel itself waits for results that it needs. */
        EARLY
    }

    public LaunchShape {
        if (gridX <= 0 || gridY <= 0 || gridZ <= 0 || blockX <= 0 || blockY <= 0 || blockZ <= 0 || sharedBytes < 0) {
            throw new IllegalArgumentException("launch shape has an empty dimension: grid " + gridX + "×" + gridY + "×"
                    + gridZ + ", block " + blockX + "×" + blockY + "×" + blockZ + ", shared " + sharedBytes);
        }
    }

    /** {@code blocks} blocks of {@code threads} threads in one dimension. */
    public static LaunchShape of(int blocks, int threads) {
        return new LaunchShape(blocks, 1, 1, threads, 1, 1, 0, Start.AFTER);
    }

    /** A three-dimensional grid of one-dimensional blocks. */
    public static LaunchShape grid(int x, int y, int z, int threads) {
        return new LaunchShape(x, y, z, threads, 1, 1, 0, Start.AFTER);
    }

    /** The same with {@code bytes} of dynamic shared memory a block. */
    public LaunchShape withSharedBytes(int bytes) {
        return new LaunchShape(gridX, gridY, gridZ, blockX, blockY, blockZ, bytes, start);
    }

    /** The same with another start. */
    public LaunchShape starting(Start when) {
        return new LaunchShape(gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, when);
    }
}
