package org.mamba4j.torch.parallel;

import java.util.Collection;
import java.util.function.BooleanSupplier;
import org.mamba4j.torch.nn.Parameter;

/** The only rank. */
final class Alone implements Ranks {
    private BooleanSupplier wish = () -> false;

    @Override
    public int rank() {
        return 0;
    }

    @Override
    public int size() {
        return 1;
    }

    @Override
    public int threads(int processors) {
        return processors;
    }

    @Override
    public double[] sum(double... values) {
        return values;
    }

    @Override
    public String fromFirst(String text) {
        return text;
    }

    @Override
    public void watch(BooleanSupplier asked) {
        wish = asked;
    }

    @Override
    public boolean isAsked() {
        return wish.getAsBoolean();
    }

    @Override
    public GradientExchange exchange(Collection<Parameter> parameters) {
        return GradientExchange.NONE;
    }

    @Override
    public void finish() {}

    @Override
    public void close() {}
}
