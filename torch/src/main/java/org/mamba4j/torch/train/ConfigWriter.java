package org.mamba4j.torch.train;

import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.mamba4j.model.ConfigSchema;

/** Writes a configuration record as YAML that explains itself: above every key stands what {@link Describe} says. */
final class ConfigWriter {
    /** Texts that YAML takes as they are: no number, no boolean, nothing that begins with an indicator. */
    private static final Pattern PLAIN = Pattern.compile("[A-Za-z_./][A-Za-z0-9_./!*-]*");

    private static final Pattern NUMBER = Pattern.compile("-?[0-9]+(\\.[0-9]+)?([eE]-?[0-9]+)?");

    private ConfigWriter() {}

    static String yaml(Record config) {
        StringBuilder out = new StringBuilder();
        append(config, "", out);
        return out.toString();
    }

    private static void append(Record config, String indent, StringBuilder out) {
        for (RecordComponent component : config.getClass().getRecordComponents()) {
            Object value = value(config, component);
            String key = ConfigKeys.snake(component.getName());
            if (value instanceof Record nested) {
                out.append('\n').append(indent).append(key).append(":\n");
                append(nested, indent + "  ", out);
            } else if (ConfigKeys.isModelFields(component)) {
                appendModel((ModelSection) config, indent, out);
            } else {
                out.append(indent).append("# ").append(comment(component)).append('\n');
                out.append(indent)
                        .append(key)
                        .append(": ")
                        .append(scalar(value))
                        .append('\n');
            }
        }
    }

    private static void appendModel(ModelSection model, String indent, StringBuilder out) {
        for (ConfigSchema.Field field : ModelSection.fieldsOf(model.type())) {
            out.append(indent).append("# ").append(field.definition().help());
            if (!field.isRequired()) {
                out.append("; default ").append(ModelSection.byDefault(field));
            }
            out.append('\n').append(indent).append(field.key()).append(": ");
            out.append(scalar(String.valueOf(model.fields().get(field.key())))).append('\n');
        }
    }

    private static String comment(RecordComponent component) {
        Describe d = ConfigKeys.describe(component);
        return d.value()
                + (d.unit().isEmpty() ? "" : " [" + d.unit() + "]")
                + (d.byDefault().equals(Describe.REQUIRED) ? "" : "; default " + d.byDefault());
    }

    /** The value of a component; our own records are open to reflection. */
    static Object value(Record config, RecordComponent component) {
        try {
            return component.getAccessor().invoke(config);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot read " + component + " of " + config, e);
        }
    }

    /** A scalar as YAML has it. */
    static String scalar(Object value) {
        if (value instanceof Enum<?>) {
            return ConfigKeys.enumName(value);
        }
        if (!(value instanceof String) && !(value instanceof Path)) {
            return value.toString();
        }
        String text = value.toString();
        if (NUMBER.matcher(text).matches() || text.equals("true") || text.equals("false")) {
            // The reader goes by the key's type, so a text that looks like a number may stand bare.
            return text;
        }
        if (PLAIN.matcher(text).matches() && !text.matches("(?i)true|false|null|yes|no|on|off|y|n|\\.inf|\\.nan")) {
            return text;
        }
        // A JSON string is a YAML string.
        return tools.jackson.databind.json.JsonMapper.shared().writeValueAsString(text);
    }
}
