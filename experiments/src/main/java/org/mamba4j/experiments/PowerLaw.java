package org.mamba4j.experiments;

import java.util.List;
import java.util.Optional;
import org.mamba4j.tasks.Estimate;

/**
 * y = factor · x^exponent, fitted by least squares to the logarithms of both.
 *
 * @param factor at x = 1
 * @param exponent with Student's 95 % interval for the slope of a line through so many points; of no width for two points
 */
record PowerLaw(double factor, Estimate exponent) {
    /**
     * Fits.
     *
     * @return empty for fewer than two different x, and where a value is not above 0
     */
    static Optional<PowerLaw> fit(List<LineChart.Point> points) {
        int n = points.size();
        if (points.stream().anyMatch(p -> !(p.x() > 0) || !(p.y() > 0))
                || points.stream().mapToDouble(LineChart.Point::x).distinct().count() < 2) {
            return Optional.empty();
        }
        double[] x = points.stream().mapToDouble(p -> Math.log(p.x())).toArray();
        double[] y = points.stream().mapToDouble(p -> Math.log(p.y())).toArray();
        double meanX = mean(x);
        double meanY = mean(y);
        double squares = 0;
        double products = 0;
        for (int i = 0; i < n; i++) {
            squares += (x[i] - meanX) * (x[i] - meanX);
            products += (x[i] - meanX) * (y[i] - meanY);
        }
        double slope = products / squares;
        double rest = 0;
        for (int i = 0; i < n; i++) {
            double off = y[i] - meanY - slope * (x[i] - meanX);
            rest += off * off;
        }
        double half = n > 2 ? Estimate.student(n - 2) * Math.sqrt(rest / (n - 2) / squares) : 0;
        return Optional.of(
                new PowerLaw(Math.exp(meanY - slope * meanX), new Estimate(slope, slope - half, slope + half)));
    }

    double at(double x) {
        return factor * Math.pow(x, exponent.value());
    }

    private static double mean(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return sum / values.length;
    }
}
