package org.mamba4j.benchmarks.llamacpp;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The other end of a {@link Contender}. */
final class ContenderProcess implements AutoCloseable {
    /** llama.cpp's own account of a generation, which it logs. */
    private static final Pattern OWN_CLOCK =
            Pattern.compile("^ *(prompt eval|eval) time = +([0-9.]+) ms / +([0-9]+) tokens", Pattern.MULTILINE);

    private final Process process;
    private final BufferedReader out;
    private final BufferedWriter in;
    private final Path log;

    /**
     * Starts one and waits until it has loaded its model.
     *
     * @param log takes what it writes to standard error
     */
    ContenderProcess(String engine, Path file, int threads, int prompt, int newTokens, Path log) throws IOException {
        this.log = log;
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.add("-Dmamba4j.threads=" + threads);
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add(Contender.class.getName());
        command.addAll(List.of(
                engine, file.toString(), String.valueOf(threads), String.valueOf(prompt), String.valueOf(newTokens)));
        process = new ProcessBuilder(command).redirectError(log.toFile()).start();
        out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        in = new BufferedWriter(new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
        answer();
    }

    /** Lets it generate once. */
    Contender.Timing generate() throws IOException {
        in.write("go\n");
        in.flush();
        return Contender.Timing.parse(answer());
    }

    private String answer() throws IOException {
        for (String line = out.readLine(); line != null; line = out.readLine()) {
            if (line.startsWith(Contender.MARK)) {
                return line;
            }
        }
        throw new IOException("the engine ended; its last words are in " + log);
    }

    /**
     * Tokens a second as llama.cpp counts them itself, of all generations so far.
     *
     * @param what {@code prompt eval} or {@code eval}
     */
    List<Double> ownClock(String what) throws IOException {
        List<Double> all = new ArrayList<>();
        Matcher matcher = OWN_CLOCK.matcher(Files.readString(log, StandardCharsets.ISO_8859_1));
        while (matcher.find()) {
            if (matcher.group(1).equals(what)) {
                all.add(1000 * Double.parseDouble(matcher.group(3)) / Double.parseDouble(matcher.group(2)));
            }
        }
        return all;
    }

    @Override
    public void close() throws IOException {
        in.close();
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
