package org.mamba4j.data;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A valid token file of any size that takes no space: bytes, all 0 but the last, which is 7. */
final class SparseTokenFile {
    private SparseTokenFile() {}

    static void write(Path path, long tokens, int documents) throws IOException {
        ByteBuffer header = ByteBuffer.allocate(TokenFile.HEADER_BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(TokenFile.MAGIC)
                .putInt(TokenFile.VERSION)
                .putInt(1)
                .putLong(tokens)
                .putLong(documents)
                .putInt(256)
                .rewind();
        ByteBuffer table =
                ByteBuffer.allocate(documents * TokenFile.DOCUMENT_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int d = 1; d <= documents; d++) {
            long end = tokens / documents * d + (d == documents ? tokens % documents : 0);
            table.putLong(end).putLong(end).putLong(TokenFileWriter.nameHash("document " + d));
        }
        table.flip();
        header.putInt(36, TokenFile.checksum(MemorySegment.ofBuffer(header), MemorySegment.ofBuffer(table)));
        try (FileChannel channel = FileChannel.open(
                path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE)) {
            channel.write(header, 0);
            channel.write(ByteBuffer.wrap(new byte[] {7}), TokenFile.HEADER_BYTES + tokens - 1);
            channel.write(table, TokenFile.documentsAt(tokens, 1));
        }
    }
}
