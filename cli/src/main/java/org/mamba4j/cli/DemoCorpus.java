package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The text that the demo learns: Java sources are on every machine that can run it.
 *
 * @param location as {@link org.mamba4j.data.Corpus#of} takes it
 * @param description for people
 * @param unseen text of another place, which is there too, to measure the model on
 */
record DemoCorpus(String location, String description, String unseen) {
    /** What {@code --data} names. */
    static DemoCorpus named(String location) {
        return new DemoCorpus(location, location, sources(projectHome()));
    }

    /** The JDK's own sources, or this project's where the JDK came without them. */
    static DemoCorpus find() {
        return find(Path.of(System.getProperty("java.home")), projectHome());
    }

    static DemoCorpus find(Path javaHome, Path projectHome) {
        Path zip = javaHome.resolve("lib").resolve("src.zip");
        if (Files.isReadable(zip)) {
            return new DemoCorpus(
                    zip + "!java.base/**.java",
                    "the sources of the JDK's java.base, " + zip,
                    zip + "!jdk.compiler/**.java");
        }
        return new DemoCorpus(
                sources(projectHome),
                "this project's own sources, as the JDK in " + javaHome
                        + " came without lib/src.zip (--data chooses another text)",
                projectHome.toAbsolutePath().normalize() + "/docs/*.md");
    }

    private static Path projectHome() {
        return Path.of(System.getProperty("mamba4j.home", ""));
    }

    private static String sources(Path projectHome) {
        return projectHome.toAbsolutePath().normalize() + "/*/src/**.java";
    }
}
