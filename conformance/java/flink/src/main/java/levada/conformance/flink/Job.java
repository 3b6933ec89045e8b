package levada.conformance.flink;

import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kinesis.sink.KinesisStreamsSink;
import org.apache.flink.connector.kinesis.source.KinesisStreamsSource;
import org.apache.flink.connector.kinesis.source.config.KinesisStreamsSourceConfigConstants;
import org.apache.flink.connector.kinesis.source.config.KinesisStreamsSourceConfigConstants.InitialPosition;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;
import org.apache.flink.streaming.connectors.kinesis.config.AWSConfigConstants;
import org.apache.flink.streaming.connectors.kinesis.config.ConsumerConfigConstants;

/**
 * A Flink job in a cluster inside this process: copies one stream, from its beginning, to one output stream for each kind of source that
 * the Kinesis connector has. Endpoint, region and credentials come from the environment. Runs until it is killed.
 *
 * <p>A record's partition key stands in its text, before the first space, and becomes the copy's partition key.
 */
public final class Job {
    private static final int PARALLELISM = 2;
    private static final long CHECKPOINT_MILLIS = 500;
    /** How often a source looks for new shards, in ms. */
    private static final long DISCOVERY_MILLIS = 1_000;
    /** How long the sink waits for a full batch, in ms. */
    private static final long BUFFER_MILLIS = 200;

    private final StreamExecutionEnvironment flink = StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM);
    private final String streamArn;
    private final String region;
    private final String endpoint;

    private Job(String streamArn, Map<String, String> environment) {
        this.streamArn = streamArn;
        region = environment.get("AWS_REGION");
        endpoint = environment.get("AWS_ENDPOINT_URL_KINESIS");
        flink.enableCheckpointing(CHECKPOINT_MILLIS);
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 2) {
            throw new IllegalArgumentException("usage: Job STREAM-ARN source|polling|fanout=OUTPUT-ARN…");
        }
        Job job = new Job(args[0], System.getenv());
        for (int n = 1; n < args.length; n++) {
            String[] copy = args[n].split("=", 2);
            job.copied(copy[0]).sinkTo(job.sink(copy[1])).name(copy[1]);
        }
        job.flink.execute("copy " + args[0]);
    }

    @SuppressWarnings("deprecation") // the older source is one of Flink's older kind
    private DataStream<String> copied(String kind) {
        return switch (kind) {
            case "source" -> flink.fromSource(source(), WatermarkStrategy.noWatermarks(), kind, Types.STRING);
            case "polling" -> flink.addSource(consumer("POLLING"), kind);
            case "fanout" -> flink.addSource(consumer("EFO"), kind);
            default -> throw new IllegalArgumentException("no such source: " + kind);
        };
    }

    /** The newer source (SDK 2, GetRecords). */
    private KinesisStreamsSource<String> source() {
        Configuration configuration = new Configuration();
        configuration.setString(AWSConfigConstants.AWS_REGION, region);
        configuration.setString(AWSConfigConstants.AWS_ENDPOINT, endpoint);
        configuration.set(KinesisStreamsSourceConfigConstants.STREAM_INITIAL_POSITION, InitialPosition.TRIM_HORIZON);
        configuration.set(KinesisStreamsSourceConfigConstants.SHARD_DISCOVERY_INTERVAL_MILLIS, DISCOVERY_MILLIS);
        return KinesisStreamsSource.<String>builder()
                .setStreamArn(streamArn)
                .setSourceConfig(configuration)
                .setDeserializationSchema(new SimpleStringSchema())
                .build();
    }

    /** The older source: GetRecords through SDK 1, or SubscribeToShard through SDK 2. */
    private FlinkKinesisConsumer<String> consumer(String publisher) {
        Properties properties = aws();
        properties.setProperty(ConsumerConfigConstants.STREAM_INITIAL_POSITION, "TRIM_HORIZON");
        properties.setProperty(ConsumerConfigConstants.SHARD_DISCOVERY_INTERVAL_MILLIS, Long.toString(DISCOVERY_MILLIS));
        properties.setProperty(ConsumerConfigConstants.RECORD_PUBLISHER_TYPE, publisher);
        properties.setProperty(ConsumerConfigConstants.EFO_CONSUMER_NAME, "flink");
        String name = streamArn.substring(streamArn.indexOf('/') + 1);
        return new FlinkKinesisConsumer<>(name, new SimpleStringSchema(), properties);
    }

    private KinesisStreamsSink<String> sink(String arn) {
        return KinesisStreamsSink.<String>builder()
                .setStreamArn(arn)
                .setKinesisClientProperties(aws())
                .setSerializationSchema(new SimpleStringSchema())
                .setPartitionKeyGenerator(text -> text.substring(0, text.indexOf(' ')))
                .setMaxTimeInBufferMS(BUFFER_MILLIS)
                .setFailOnError(false)
                .build();
    }

    private Properties aws() {
        Properties properties = new Properties();
        properties.setProperty(AWSConfigConstants.AWS_REGION, region);
        properties.setProperty(AWSConfigConstants.AWS_ENDPOINT, endpoint);
        return properties;
    }
}
