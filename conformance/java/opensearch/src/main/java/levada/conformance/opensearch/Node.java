package levada.conformance.opensearch;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;

import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * One real OpenSearch node on a loopback port, for as long as stdin is open.
 *
 * <p>Arguments: its directory, the HTTP port, the port between nodes. The line {@code ready} says that it answers.
 */
public final class Node {
    private Node() {
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 3) {
            throw new IllegalArgumentException("usage: Node DIRECTORY HTTP_PORT TRANSPORT_PORT");
        }
        // OpenSearch takes System.out for its log.
        PrintStream out = System.out;
        try (OpenSearchRunner runner = new OpenSearchRunner()) {
            runner.onBuild((number, settings) -> {
                settings.put("http.host", "127.0.0.1");
                settings.put("http.port", arguments[1]);
                settings.put("transport.host", "127.0.0.1");
                settings.put("transport.port", arguments[2]);
                settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
            }).build(OpenSearchRunner.newConfigs().basePath(Path.of(arguments[0]).toString()).numOfNode(1));
            out.println("ready");
            while (System.in.read() >= 0) {
                // Nothing is read: the end is waited for.
            }
        }
    }
}
