package levada.conformance.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.awscore.AwsClient;
import software.amazon.awssdk.awscore.AwsRequest;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.services.firehose.FirehoseAsyncClient;
import software.amazon.awssdk.services.firehose.FirehoseClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;

/** Calls of the services' clients by the operation's name: the SDK's own method, found by reflection. */
final class Calls implements AutoCloseable {
    private static final String MODELS = "software.amazon.awssdk.services.";
    private static final String SUBSCRIBE = "SubscribeToShard";

    /** The interface whose methods are called, and what implements it. */
    private record Service(Class<?> type, AwsClient client) {}

    private final Map<String, Service> services;

    private Calls(Service kinesis, Service firehose) {
        this.services = Map.of("kinesis", kinesis, "firehose", firehose);
    }

    /** Clients of this kind; endpoint, region and credentials come from the environment, as for every program. */
    static Calls through(String kind) {
        ClientOverrideConfiguration once = ClientOverrideConfiguration.builder()
                .retryStrategy(strategy -> strategy.maxAttempts(1))
                .build();
        return switch (kind) {
            case "async-cbor" -> new Calls(
                    new Service(
                            KinesisAsyncClient.class,
                            KinesisAsyncClient.builder().overrideConfiguration(once).build()),
                    new Service(
                            FirehoseAsyncClient.class,
                            FirehoseAsyncClient.builder().overrideConfiguration(once).build()));
            case "sync-json" -> {
                System.setProperty("aws.cborEnabled", "false");
                yield new Calls(
                        new Service(
                                KinesisClient.class,
                                KinesisClient.builder().overrideConfiguration(once).build()),
                        new Service(
                                FirehoseClient.class,
                                FirehoseClient.builder().overrideConfiguration(once).build()));
            }
            default -> throw new IllegalArgumentException("usage: Adapter async-cbor|sync-json");
        };
    }

    /**
     * Makes one call.
     *
     * @param asked the line: service, operation, members; a subscription has its bounds there
     * @throws Unknown if the client has no such operation or member
     * @throws software.amazon.awssdk.core.exception.SdkException if the service refused, or the SDK failed
     */
    JsonNode call(JsonNode asked) {
        String operation = asked.path("op").asText();
        Service service = services.get(asked.path("service").asText());
        AwsRequest request = request(service, operation, asked.path("in"));
        if (operation.equals(SUBSCRIBE) && service.client instanceof KinesisAsyncClient async) {
            return Subscription.read(async, (SubscribeToShardRequest) request, asked);
        }
        String name = Character.toLowerCase(operation.charAt(0)) + operation.substring(1);
        Method method;
        try {
            method = service.type.getMethod(name, request.getClass());
        } catch (NoSuchMethodException absent) {
            throw new Unknown(service.type.getSimpleName() + " has no " + name);
        }
        return Values.toJson((SdkPojo) join(invoke(method, service.client, request)));
    }

    private static AwsRequest request(Service service, String operation, JsonNode members) {
        try {
            Class<?> request = Class.forName(MODELS + service.client.serviceName() + ".model." + operation + "Request");
            SdkPojo builder = (SdkPojo) request.getMethod("builder").invoke(null);
            return (AwsRequest) Values.build(builder, members, operation);
        } catch (ClassNotFoundException absent) {
            throw new Unknown("the SDK has no operation " + operation);
        } catch (ReflectiveOperationException unexpected) {
            throw new IllegalStateException(operation + "Request is not built as the SDK's requests are", unexpected);
        }
    }

    private static Object invoke(Method method, AwsClient client, AwsRequest request) {
        try {
            return method.invoke(client, request);
        } catch (InvocationTargetException failed) {
            throw unwrapped(failed.getCause());
        } catch (IllegalAccessException unexpected) {
            throw new IllegalStateException(unexpected);
        }
    }

    private static Object join(Object result) {
        if (!(result instanceof CompletableFuture<?> future)) {
            return result;
        }
        try {
            return future.join();
        } catch (CompletionException failed) {
            throw unwrapped(failed.getCause());
        }
    }

    private static RuntimeException unwrapped(Throwable cause) {
        return cause instanceof RuntimeException runtime ? runtime : new IllegalStateException(cause);
    }

    @Override
    public void close() {
        services.values().forEach(service -> service.client.close());
    }
}
