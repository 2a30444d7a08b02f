package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.data.Corpus;
import org.mamba4j.torch.train.TrainConfig;
import picocli.CommandLine;

/** The README says what is so. */
class ReadmeTest {
    private static final Path ROOT = root();

    @TempDir
    private Path folder = Path.of("");

    @Test
    void itsCodeCompilesAndRuns() throws Exception {
        String readme = Files.readString(ROOT.resolve("README.md"));
        Matcher block = Pattern.compile("```java\\R(.*?)```", Pattern.DOTALL).matcher(readme);
        assertThat(block.find()).isTrue();
        compile(block.group(1));

        Path model = TinyModel.in(folder);
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        try (URLClassLoader loader =
                new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
            System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
            var main = loader.loadClass("Continue").getDeclaredMethod("main", String[].class);
            main.setAccessible(true);
            main.invoke(null, (Object) new String[] {model.toString()});
        } finally {
            System.setOut(before);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8))
                .contains("59 tokens in " + TinyModel.CONFIG.stateBytes() + " bytes");
    }

    private void compile(String source) {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        SimpleJavaFileObject file =
                new SimpleJavaFileObject(URI.create("string:///Continue.java"), SimpleJavaFileObject.Kind.SOURCE) {
                    @Override
                    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                        return source;
                    }
                };
        var options = List.of("-d", folder.toString(), "-cp", System.getProperty("java.class.path"), "-proc:none");
        assertThat(compiler.getTask(null, null, null, options, null, List.of(file))
                        .call())
                .isTrue();
    }

    /** Every {@code ./mamba4j …} line is understood as far as its words go. */
    @Test
    void itsCommandsExist() throws Exception {
        for (Path page : List.of(ROOT.resolve("README.md"), ROOT.resolve("CONTRIBUTING.md"))) {
            for (String line : Files.readString(page).lines().toList()) {
                if (line.startsWith("./mamba4j ")) {
                    String words = line.replaceAll("#.*", "")
                            .replaceAll("'[^']*'", "TEXT")
                            .strip();
                    List<String> arguments = new ArrayList<>(Arrays.asList(words.split(" +")));
                    CommandLine.ParseResult parsed = Main.commandLine()
                            .parseArgs(arguments.subList(1, arguments.size()).toArray(String[]::new));
                    assertThat(parsed.errors()).as(line).isEmpty();
                }
            }
        }
    }

    /** In a fresh clone, after the demo: every other path that a command names is there, every recipe is sound. */
    @Test
    void itsCommandsFindWhatTheyName() throws Exception {
        int found = 0;
        for (String line : Files.readString(ROOT.resolve("README.md")).lines().toList()) {
            if (!line.startsWith("./mamba4j ")) {
                continue;
            }
            Matcher text =
                    Pattern.compile("(?:--data |data\\.path=)'?([^' ]+)'?").matcher(line);
            while (text.find()) {
                assertThat(Corpus.of(ROOT + "/" + text.group(1)).size())
                        .as(line)
                        .isPositive();
                found++;
            }
            Matcher model = Pattern.compile("--model (\\S+)").matcher(line);
            while (model.find()) {
                assertThat(model.group(1)).as("the demo's folder").isEqualTo("runs/demo");
                found++;
            }
            Matcher recipe = Pattern.compile("train (\\S+\\.yaml)").matcher(line);
            if (recipe.find()) {
                List<String> overrides = Pattern.compile("--set (\\S+)")
                        .matcher(line)
                        .results()
                        .map(match -> match.group(1))
                        .toList();
                assertThat(TrainConfig.load(ROOT.resolve(recipe.group(1)), overrides)
                                .schedule()
                                .minutes())
                        .isEqualTo(1);
                found++;
            }
        }
        assertThat(found).isGreaterThanOrEqualTo(5);
    }

    @Test
    void itsLinksLeadSomewhere() throws Exception {
        Matcher link =
                Pattern.compile("\\]\\((?!https?:)([^)#]+)").matcher(Files.readString(ROOT.resolve("README.md")));
        List<String> targets = link.results().map(match -> match.group(1)).toList();
        assertThat(targets).isNotEmpty();
        assertThat(targets)
                .allSatisfy(target -> assertThat(ROOT.resolve(target)).exists());
    }

    private static Path root() {
        Path here = Path.of("").toAbsolutePath();
        return Files.exists(here.resolve("README.md"))
                ? here
                : here.resolve("..").normalize();
    }
}
