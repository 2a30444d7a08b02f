package org.mamba4j.ssm;

/**
 * A complex number.
 *
 * @param re real part
 * @param im imaginary part
 */
public record Complex(double re, double im) {
    /** 0. */
    public static final Complex ZERO = new Complex(0, 0);

    /** 1. */
    public static final Complex ONE = new Complex(1, 0);

    /** re + 0 i. */
    public static Complex of(double re) {
        return new Complex(re, 0);
    }

    /** cos(angle) + i sin(angle). */
    public static Complex unit(double angle) {
        return new Complex(Math.cos(angle), Math.sin(angle));
    }

    /** this + other. */
    public Complex plus(Complex other) {
        return new Complex(re + other.re, im + other.im);
    }

    /** this - other. */
    public Complex minus(Complex other) {
        return new Complex(re - other.re, im - other.im);
    }

    /** this · other. */
    public Complex times(Complex other) {
        return new Complex(re * other.re - im * other.im, re * other.im + im * other.re);
    }

    /** this · factor. */
    public Complex times(double factor) {
        return new Complex(re * factor, im * factor);
    }

    /** this / other. */
    public Complex over(Complex other) {
        double norm = other.re * other.re + other.im * other.im;
        return times(other.conjugate()).times(1 / norm);
    }

    /** re - i im. */
    public Complex conjugate() {
        return new Complex(re, -im);
    }

    /** e to the power of this. */
    public Complex exp() {
        return unit(im).times(Math.exp(re));
    }

    /** exp(this) - 1, exact near 0 too. */
    public Complex expm1() {
        double half = Math.sin(im / 2);
        double grown = Math.expm1(re);
        return new Complex(grown * Math.cos(im) - 2 * half * half, (grown + 1) * Math.sin(im));
    }

    /** Distance from 0. */
    public double abs() {
        return Math.hypot(re, im);
    }
}
