package org.mamba4j.cli;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import org.mamba4j.inference.TextScore;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;

/** What {@code score} prints, as a table for people or as JSON for programs: sums, and before them tokens or lines. */
final class ScoreOutput {
    private final boolean json;
    private final boolean perToken;
    private final boolean perLine;
    private final boolean several;
    private final Output out = new Output();

    private ScoreOutput(boolean json, boolean perToken, boolean perLine, boolean several) {
        this.json = json;
        this.perToken = perToken;
        this.perLine = perLine;
        this.several = several;
    }

    /** @param several texts follow each other, so each is to be named */
    static ScoreOutput of(boolean json, boolean perToken, boolean perLine, boolean several) {
        return new ScoreOutput(json, perToken, perLine, several);
    }

    Text begin(String file) {
        if (!json && several && (perToken || perLine)) {
            out.line("# " + file);
        }
        if (!json && perToken) {
            out.line("index\ttoken\tlog probability\ttext");
        }
        if (!json && perLine) {
            out.line("line\ttokens\tbytes\tlog probability\tbits/byte");
        }
        return new Text(file);
    }

    /** The table, which for JSON has been printed text by text. */
    void end(List<String> files, List<TextScore> scores) {
        if (json) {
            out.flush();
            return;
        }
        Table table = new Table("lrrrrr");
        table.row("text", "bytes", "tokens", "bits/byte", "perplexity", "tokens/s");
        for (int i = 0; i < scores.size(); i++) {
            row(table, files.get(i), scores.get(i));
        }
        if (scores.size() > 1) {
            row(table, "all", scores.stream().reduce(TextScore::plus).orElseThrow());
        }
        out.flush();
        if (perToken || perLine) {
            table.lines().forEach(line -> System.err.println(Terminal.STDERR.dim(line)));
        } else {
            table.lines().forEach(out::line);
            out.flush();
        }
    }

    private static void row(Table table, String name, TextScore score) {
        table.row(
                name,
                String.format(Locale.ROOT, "%,d", score.bytes()),
                String.format(Locale.ROOT, "%,d", score.tokens()),
                figure("%.4f", score.bitsPerByte()),
                figure("%.4f", score.perplexity()),
                String.format(Locale.ROOT, "%,.0f", score.tokensPerSecond()));
    }

    private static String figure(String format, double value) {
        return Double.isNaN(value) ? "–" : String.format(Locale.ROOT, format, value);
    }

    private static void put(JsonObject.Builder object, String key, double value) {
        if (Double.isFinite(value)) {
            object.put(key, value);
        }
    }

    /** What is printed of one text. */
    final class Text {
        private final String file;
        private long index;
        private long line;
        private Line current = new Line();

        private Text(String file) {
            this.file = file;
        }

        /** Whether it is more than the sums. */
        boolean printsMuch() {
            return perToken || perLine;
        }

        void accept(int token, byte[] bytes, double logProbability) {
            if (perToken) {
                token(token, bytes, logProbability);
            } else if (perLine) {
                // A token belongs to the line where it begins.
                current.add(bytes.length, logProbability);
                for (byte each : bytes) {
                    if (each == '\n') {
                        endLine();
                    }
                }
            }
            index++;
        }

        private void token(int token, byte[] bytes, double logProbability) {
            if (json) {
                JsonObject.Builder object = JsonObject.builder()
                        .put("file", file)
                        .put("index", index)
                        .put("token", token)
                        .put("text", new String(bytes, StandardCharsets.UTF_8));
                put(object, "log_probability", logProbability);
                out.line(JsonText.compact(object.build()));
            } else {
                out.line(index + "\t" + token + "\t" + figure("%.6f", logProbability) + "\t"
                        + TokenizeCommand.visible(bytes));
            }
        }

        private void endLine() {
            line++;
            double bits = -current.logProbability / Math.log(2) / current.scoredBytes;
            if (json) {
                JsonObject.Builder object = JsonObject.builder()
                        .put("file", file)
                        .put("line", line)
                        .put("tokens", current.tokens)
                        .put("bytes", current.bytes)
                        .put("log_probability", current.logProbability);
                put(object, "bits_per_byte", bits);
                out.line(JsonText.compact(object.build()));
            } else {
                out.line(line + "\t" + current.tokens + "\t" + current.bytes + "\t"
                        + figure("%.6f", current.logProbability) + "\t" + figure("%.4f", bits));
            }
            current = new Line();
        }

        void end(TextScore score) {
            if (perLine && current.tokens > 0) {
                endLine();
            }
            if (json) {
                JsonObject.Builder object = JsonObject.builder()
                        .put("file", file)
                        .put("bytes", score.bytes())
                        .put("tokens", score.tokens())
                        .put("scored_tokens", score.scoredTokens())
                        .put("scored_bytes", score.scoredBytes())
                        .put("log_probability", score.logProbability());
                put(object, "bits_per_byte", score.bitsPerByte());
                put(object, "perplexity", score.perplexity());
                object.put("uncertain_cuts", score.uncertainCuts())
                        .put("seconds", score.seconds())
                        .put("tokens_per_second", score.tokensPerSecond());
                out.line(JsonText.compact(object.build()));
            }
        }
    }

    /** Sums of a line. */
    private static final class Line {
        private long tokens;
        private long bytes;
        private long scoredBytes;
        private double logProbability;

        void add(int length, double value) {
            tokens++;
            bytes += length;
            if (!Double.isNaN(value)) {
                scoredBytes += length;
                logProbability += value;
            }
        }
    }
}
