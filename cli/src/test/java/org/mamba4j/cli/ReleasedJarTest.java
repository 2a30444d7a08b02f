package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.inference.LanguageModel;

/** Core's jar runs on a bare JDK, with nothing else on the class path or the module path. */
class ReleasedJarTest {
    private static final String MODULE = "org.mamba4j.core";
    private static final String PROGRAM = """
            package app;

            import java.nio.file.Path;
            import org.mamba4j.inference.*;

            public class Main {
                public static void main(String[] args) {
                    try (var model = LanguageModel.open(Path.of(args[0])); var state = model.newState()) {
                        model.prefill(state, model.tokenizer().encode("Once upon a time"));
                        var options = GenerationOptions.DEFAULTS.withMaxNewTokens(20);
                        System.out.println(model.generate(state, options).mapToInt(String::length).sum() > 0);
                        System.out.println(state.tokensSeen() + " tokens, " + LanguageModel.class.getModule());
                    }
                }
            }
            """;

    @TempDir
    private Path folder = Path.of("");

    private Path model = Path.of("");
    private Path program = Path.of("");

    @BeforeEach
    void write() throws IOException {
        model = TinyModel.in(folder);
        program = Files.createDirectories(folder.resolve("src/app")).resolve("Main.java");
        Files.writeString(program, PROGRAM);
    }

    /** Where core's classes are: a jar in a whole build, a folder where only tests run. */
    private static Path core() throws Exception {
        return Path.of(LanguageModel.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
    }

    private Path jar() throws Exception {
        Path classes = core();
        if (Files.isRegularFile(classes)) {
            return classes;
        }
        Path jar = folder.resolve("core.jar");
        int code = ToolProvider.findFirst("jar")
                .orElseThrow()
                .run(System.out, System.err, "--create", "--file", jar.toString(), "-C", classes.toString(), ".");
        assertThat(code).isZero();
        return jar;
    }

    @Test
    void onTheClassPath() throws Exception {
        String printed = java(
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                jar().toString(),
                program.toString(),
                model.toString());
        assertThat(printed).contains("true", "36 tokens, unnamed module").doesNotContain("Vector API is not available");
    }

    @Test
    void withoutTheVectorModule() throws Exception {
        String printed = java("-cp", jar().toString(), program.toString(), model.toString());
        assertThat(printed).contains("true", "36 tokens", "Vector API is not available", "--add-modules");
    }

    @Test
    void onTheModulePath() throws Exception {
        Path jar = core();
        assumeTrue(Files.isRegularFile(jar), "skipped: core is no jar here; ./mvnw verify makes one");
        assertThat(ModuleFinder.of(jar).find(MODULE)).isPresent();
        Path info = Files.writeString(
                folder.resolve("src/module-info.java"),
                "module app { requires " + MODULE + "; requires jdk.incubator.vector; }");
        Path classes = folder.resolve("app");
        int code = ToolProvider.findFirst("javac")
                .orElseThrow()
                .run(
                        System.out,
                        System.err,
                        "-proc:none",
                        "-p",
                        jar.toString(),
                        "-d",
                        classes.toString(),
                        info.toString(),
                        program.toString());
        assertThat(code).isZero();
        String printed = java(
                "--enable-native-access=" + MODULE,
                "-p",
                jar + File.pathSeparator + classes,
                "-m",
                "app/app.Main",
                model.toString());
        assertThat(printed)
                .contains("true", "36 tokens, module " + MODULE)
                .doesNotContain("Vector API is not available");
    }

    /** What a program prints, errors included. */
    private String java(String... arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(arguments));
        Path output = folder.resolve("output");
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().keySet().removeAll(List.of("CLASSPATH", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"));
        Process process = builder.start();
        assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
        String printed = Files.readString(output, StandardCharsets.UTF_8);
        assertThat(process.exitValue()).as(printed).isZero();
        return printed;
    }
}
