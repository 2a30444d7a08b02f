package org.mamba4j;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/** Files for tests that are not part of the repository; a test that needs one is skipped, with a message, without it. */
public final class SharedData {
    private SharedData() {}

    /**
     * The path of {@code relative} under the folder that the system property {@code mamba4j.shared} names ({@code
     * ../shared} beside the checkout by default); aborts the test when it does not exist.
     */
    public static Path require(String relative) {
        Path path = Path.of(System.getProperty("mamba4j.shared", "../../shared"), relative)
                .normalize();
        assumeTrue(Files.exists(path), () -> "skipped: " + path + " does not exist (set -Dmamba4j.shared=DIR)");
        return path;
    }
}
