package org.mamba4j.text;

import java.util.List;
import java.util.Random;

/** Random strings made of what breaks tokenizers. */
final class NastyText {
    private static final List<String> FRAGMENTS = List.of(
            "the",
            "The",
            "hello",
            "aaaaaaaaa",
            "ababab",
            "x",
            "word",
            "Größe",
            "e\u0301",
            "\u00e9",
            "n\u0303o",
            "'s",
            "'t",
            "'re",
            "'ve",
            "'m",
            "'ll",
            "'d",
            "'S",
            "'LL",
            "'\u017f",
            "'",
            "''",
            "’s",
            "'x",
            " 's",
            "1",
            "42",
            "1234567",
            "\u0661\u0662",
            "Ⅷ",
            "½",
            "²",
            " ",
            "  ",
            "   ",
            "        ",
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            "\t",
            "\t\t",
            " \n",
            "\n ",
            " \t ",
            "\u00a0",
            "\u3000",
            "\u2003",
            "\u2028",
            "\u0085",
            "\u000b",
            "\u000c",
            "\u200b",
            "\ufeff",
            "\u180e",
            "\u001c",
            "\u0000",
            "\u0001",
            "\u007f",
            "!",
            "!!!",
            "...",
            "--",
            "=",
            "+=",
            "{",
            "}",
            "();",
            "\"",
            "\\",
            "/",
            "#",
            "🎉",
            "👩‍👩‍👧‍👦",
            "🇩🇪",
            "👍🏽",
            "é",
            "ﬁ",
            "Å",
            "\u212b",
            "\u0344",
            "\u0958",
            "가",
            "\u1100\u1161\u11a8",
            "\u0e01\u0e33",
            "ا\u0644\u0633",
            "नमस्ते",
            "漢字",
            "かな",
            "東京",
            "\ufffd",
            "\uffff",
            "\ue000",
            "\ud800\udc00",
            "\udbff\udfff",
            "\ud835\udc00",
            "\u0378",
            "<|endoftext|>",
            "<|pad|>",
            "<mask>",
            "<b>",
            "ab",
            "abc",
            "bcd",
            "_",
            "ſ",
            "ǅ",
            "ʰ",
            "\u0300",
            "\u0301\u0327",
            "\u0327\u0301",
            "\u20e3",
            "\u200d",
            "\u203f",
            "ﬆ");

    private NastyText() {}

    /** @param length roughly, in characters */
    static String next(Random random, int length) {
        StringBuilder text = new StringBuilder();
        while (text.length() < length) {
            switch (random.nextInt(12)) {
                case 0 -> text.append(" ".repeat(random.nextInt(40)));
                case 1 ->
                    text.append(FRAGMENTS.get(random.nextInt(FRAGMENTS.size())).repeat(1 + random.nextInt(5)));
                case 2 -> text.appendCodePoint(anyCodePoint(random));
                case 3 -> text.append((char) random.nextInt(0x300));
                default -> text.append(FRAGMENTS.get(random.nextInt(FRAGMENTS.size())));
            }
        }
        return text.toString();
    }

    /** Any but surrogates. */
    private static int anyCodePoint(Random random) {
        int c = random.nextBoolean() ? random.nextInt(0x10000) : random.nextInt(0x110000);
        return c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? ' ' : c;
    }
}
