package org.mamba4j.torch.train;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * All there is to know about one key of a configuration file: the reader takes default and limits from here, the
 * command line its help, and a saved configuration its comments.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Describe {
    /** The {@link #byDefault} of a key that must be given. */
    String REQUIRED = "<required>";

    /** What the value means: a clause without a full stop. */
    String value();

    /** The value of a key that is not given, spelled as in YAML; a list is a comma-separated text. */
    String byDefault() default REQUIRED;

    /** Unit of the value, for example {@code steps}; empty where it has none. */
    String unit() default "";

    /** Smallest allowed number. */
    double min() default Double.NEGATIVE_INFINITY;

    /** Largest allowed number. */
    double max() default Double.POSITIVE_INFINITY;

    /** Whether a run may be resumed with another value than it was started with. */
    boolean mayChange() default false;
}
