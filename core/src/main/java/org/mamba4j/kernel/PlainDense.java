package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.mamba4j.kernel.Check.present;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** The reference: as the formulas stand, in double precision between float32 inputs and outputs, on the calling thread. */
public final class PlainDense implements DenseKernels {
    @Override
    public String name() {
        return "plain";
    }

    @Override
    public void multiply(Matrix weight, Rows x, MemorySegment bias, Rows y) {
        DenseChecks.multiply(weight, x, bias, y);
        for (int t = 0; t < x.length(); t++) {
            for (int row = 0; row < weight.rows(); row++) {
                double sum = present(bias) ? bias.getAtIndex(JAVA_FLOAT_UNALIGNED, row) : 0;
                for (int column = 0; column < weight.columns(); column++) {
                    sum += (double) weight.get(row, column) * x.get(0, t, column);
                }
                y.set(0, t, row, sum);
            }
        }
    }

    @Override
    public void addNorm(Rows x, Rows added, MemorySegment weight, float epsilon, Rows y) {
        DenseChecks.addNorm(x, added, weight, y);
        int columns = x.channels();
        for (int t = 0; t < x.length(); t++) {
            double squares = 0;
            for (int c = 0; c < columns; c++) {
                if (added.isPresent()) {
                    x.set(0, t, c, x.get(0, t, c) + added.get(0, t, c));
                }
                squares += (double) x.get(0, t, c) * x.get(0, t, c);
            }
            double scale = 1 / Math.sqrt(squares / columns + epsilon);
            for (int c = 0; c < columns; c++) {
                y.set(0, t, c, x.get(0, t, c) * scale * weight.getAtIndex(JAVA_FLOAT_UNALIGNED, c));
            }
        }
    }

    @Override
    public void activate(Activation function, Rows x) {
        DenseChecks.activate(x);
        for (int t = 0; t < x.length(); t++) {
            for (int c = 0; c < x.channels(); c++) {
                x.set(0, t, c, function.of(x.get(0, t, c)));
            }
        }
    }

    @Override
    public void attend(Rows q, List<NoteTable> tables, float scale, float nothing, Rows read, Rows missed) {
        DenseChecks.attend(q, tables, read, missed);
        for (int t = 0; t < q.length(); t++) {
            double greatest = nothing;
            for (NoteTable table : tables) {
                for (int j = 0; j < table.count(); j++) {
                    greatest = Math.max(greatest, logit(q, t, table, j, scale));
                }
            }
            double rest = Math.exp(nothing - greatest);
            double total = rest;
            double[] sum = new double[q.channels()];
            for (NoteTable table : tables) {
                for (int j = 0; j < table.count(); j++) {
                    double weight = Math.exp(logit(q, t, table, j, scale) - greatest);
                    total += weight;
                    for (int c = 0; c < sum.length; c++) {
                        sum[c] += weight * table.summaries().get(0, j, c);
                    }
                }
            }
            for (int c = 0; c < sum.length; c++) {
                read.set(0, t, c, sum[c] / total);
            }
            missed.set(0, t, 0, rest / total);
        }
    }

    private static double logit(Rows q, int t, NoteTable table, int j, float scale) {
        double product = 0;
        for (int c = 0; c < q.channels(); c++) {
            product += (double) q.get(0, t, c) * table.summaries().get(0, j, c);
        }
        return scale * product + table.biases().get(0, 0, j);
    }
}
