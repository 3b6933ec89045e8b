package levada.conformance.kcl;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import software.amazon.kinesis.retrieval.KinesisClientRecord;

/**
 * What a worker tells the test, a JSON document a line, each flushed before the worker goes on.
 *
 * <p>{@code at} is the machine's monotonic clock in ns: it orders the lines of two processes on one machine.
 */
final class Journal {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final PrintStream lines;

    Journal(PrintStream lines) {
        this.lines = lines;
    }

    /** The processor of a shard came to this point: {@code began}, {@code ended}, {@code lost}, {@code handed over}. */
    void event(String event, String shard) {
        write(line(event, shard));
    }

    /** These records were processed: for each its partition key and its data, which is text. */
    void records(String shard, List<KinesisClientRecord> records) {
        ObjectNode line = line("records", shard);
        var processed = line.putArray("records");
        for (KinesisClientRecord record : records) {
            String data = StandardCharsets.UTF_8.decode(record.data().duplicate()).toString();
            processed.addArray().add(record.partitionKey()).add(data);
        }
        write(line);
    }

    private static ObjectNode line(String event, String shard) {
        return JSON.createObjectNode().put("at", System.nanoTime()).put("event", event).put("shard", shard);
    }

    private synchronized void write(ObjectNode line) {
        lines.println(line);
        lines.flush();
    }
}
