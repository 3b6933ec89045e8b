package levada.conformance.kcl;

import java.io.PrintStream;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.CoordinatorConfig;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.leases.LeaseManagementConfig;
import software.amazon.kinesis.metrics.MetricsConfig;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.processor.StreamTracker;
import software.amazon.kinesis.retrieval.RetrievalConfig;
import software.amazon.kinesis.retrieval.RetrievalSpecificConfig;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * One worker of an application on the Kinesis Client Library, as people write them; only the intervals are shorter, so that a lease
 * of a dead worker is taken over in seconds. Endpoints, region and credentials come from the environment. Ends on SIGTERM.
 */
public final class Worker {
    /** A lease that was not renewed for so long, in ms, is another worker's. */
    private static final long FAILOVER = 5_000;
    /** How often a worker looks for work, leases and parents that have ended, in ms. */
    private static final long OFTEN = 500;
    /** The shortest pause between two GetRecords of a shard that the library accepts without a warning, in ms. */
    private static final long BETWEEN_READS = 250;
    private static final int GRACE_SECONDS = 20;

    private final String stream;
    private final String application;
    private final KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder());
    private final ConfigsBuilder configs;

    private Worker(String stream, String application, String name, Journal journal) {
        this.stream = stream;
        this.application = application;
        StreamTracker tracker = new SingleStreamTracker(
                stream, InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON));
        configs = new ConfigsBuilder(
                tracker,
                application,
                kinesis,
                DynamoDbAsyncClient.create(),
                CloudWatchAsyncClient.create(),
                name,
                () -> new Processor(journal));
    }

    public static void main(String[] args) {
        if (args.length != 4) {
            throw new IllegalArgumentException("usage: Worker STREAM APPLICATION WORKER polling|fanout");
        }
        PrintStream lines = System.out;
        System.setOut(System.err);
        Worker worker = new Worker(args[0], args[1], args[2], new Journal(lines));
        Scheduler scheduler = worker.scheduler(args[3]);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(scheduler)));
        scheduler.run();
    }

    private Scheduler scheduler(String retrieval) {
        return new Scheduler(
                configs.checkpointConfig(),
                coordinator(),
                leases(),
                configs.lifecycleConfig().taskBackoffTimeMillis(OFTEN),
                metrics(),
                configs.processorConfig(),
                retrieval(retrieval));
    }

    private CoordinatorConfig coordinator() {
        return configs.coordinatorConfig()
                .parentShardPollIntervalMillis(OFTEN)
                .shardConsumerDispatchPollIntervalMillis(OFTEN)
                .schedulerInitializationBackoffTimeMillis(OFTEN);
    }

    private LeaseManagementConfig leases() {
        LeaseManagementConfig leases = configs.leaseManagementConfig()
                .failoverTimeMillis(FAILOVER)
                .leaseAssignmentIntervalMillis(2 * OFTEN)
                .shardSyncIntervalMillis(OFTEN)
                .listShardsBackoffTimeInMillis(OFTEN)
                .leasesRecoveryAuditorExecutionFrequencyMillis(FAILOVER)
                .dynamoDbLockBasedLeaderLeaseDurationInMillis(FAILOVER)
                .dynamoDbLockBasedLeaderHeartbeatPeriodInMillis(OFTEN)
                .billingMode(BillingMode.PAY_PER_REQUEST);
        // The load of this machine must not decide who gets which lease.
        leases.workerUtilizationAwareAssignmentConfig()
                .disableWorkerMetrics(true)
                .workerMetricsReporterFreqInMillis(2 * OFTEN);
        return leases;
    }

    private MetricsConfig metrics() {
        return configs.metricsConfig().metricsBufferTimeMillis(2 * OFTEN);
    }

    private RetrievalConfig retrieval(String retrieval) {
        RetrievalSpecificConfig specific = switch (retrieval) {
            case "polling" -> new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(BETWEEN_READS);
            case "fanout" -> new FanOutConfig(kinesis).streamName(stream).applicationName(application);
            default -> throw new IllegalArgumentException("neither polling nor fanout: " + retrieval);
        };
        return configs.retrievalConfig().retrievalSpecificConfig(specific);
    }

    private static void stop(Scheduler scheduler) {
        try {
            scheduler.startGracefulShutdown().get(GRACE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException failed) {
            failed.printStackTrace();
        }
    }
}
