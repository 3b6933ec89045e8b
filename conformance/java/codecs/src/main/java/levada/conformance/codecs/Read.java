package levada.conformance.codecs;

import io.airlift.compress.snappy.SnappyHadoopStreams;

import java.io.IOException;
import java.io.InputStream;

import org.xerial.snappy.SnappyInputStream;

/** Reads a compressed object on stdin with the library that its readers use, and writes what it holds. */
public final class Read {
    private Read() {
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 1) {
            throw new IllegalArgumentException("usage: Read snappy|hadoop-snappy");
        }
        try (InputStream plain = opened(arguments[0], System.in)) {
            plain.transferTo(System.out);
        }
        System.out.flush();
    }

    private static InputStream opened(String format, InputStream compressed) throws IOException {
        return switch (format) {
            case "snappy" -> new SnappyInputStream(compressed);
            case "hadoop-snappy" -> new SnappyHadoopStreams().createInputStream(compressed);
            default -> throw new IllegalArgumentException("no reader of " + format);
        };
    }
}
