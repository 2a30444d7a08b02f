package org.mamba4j.model;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * All that is to be known of one field of a configuration record. It stands at the record's component and nowhere else:
 * config.json's reader and writer, recipes and the help texts are made from it.
 */
@Documented
@Target(ElementType.RECORD_COMPONENT)
@Retention(RetentionPolicy.RUNTIME)
public @interface ConfigField {
    /** Key in config.json, as Hugging Face spells it. */
    String key();

    /** Meaning and unit, one sentence without full stop. */
    String help();

    /** Value when the key is absent, as JSON writes it without quotes; {@link #REQUIRED} when it may not be absent. */
    String otherwise() default REQUIRED;

    /** Key as state-spaces spells it, a dot before the key inside an object; empty when it has none. */
    String stateSpaces() default "";

    /** Least value of a number. */
    double min() default 0;

    /** Greatest value of a number. */
    double max() default 0;

    /** The values that a text may have. */
    String[] oneOf() default {};

    /** There is no default. */
    String REQUIRED = "";
}
