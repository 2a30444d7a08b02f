package org.mamba4j.kernel.vector;

/**
 * One loop over the steps of a chunk of one block.
 *
 * <p>Why an interface: the compiler inlines the many small methods behind each vector operation until a budget of the
 * method being compiled is spent, and what comes after allocates an object per operation, a hundred times slower. Calls to
 * an interface with more than two implementations are not inlined, so each pass is compiled by itself, within its own
 * budget, and must stay as small as these are.
 */
@FunctionalInterface
interface Pass {
    void run(ScanFrame frame);
}
