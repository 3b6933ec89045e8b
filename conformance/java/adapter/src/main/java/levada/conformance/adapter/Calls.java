package levada.conformance.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.KinesisRequest;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;

/** Calls of a Kinesis client by the operation's name: the SDK's own method, found by reflection. */
final class Calls implements AutoCloseable {
    private static final String MODEL = "software.amazon.awssdk.services.kinesis.model.";
    private static final String SUBSCRIBE = "SubscribeToShard";

    private final Class<?> type;
    private final AutoCloseable client;

    private Calls(Class<?> type, AutoCloseable client) {
        this.type = type;
        this.client = client;
    }

    /** A client of this kind; endpoint, region and credentials come from the environment, as for every program. */
    static Calls through(String kind) {
        ClientOverrideConfiguration once = ClientOverrideConfiguration.builder()
                .retryStrategy(strategy -> strategy.maxAttempts(1))
                .build();
        return switch (kind) {
            case "async-cbor" -> new Calls(
                    KinesisAsyncClient.class, KinesisAsyncClient.builder().overrideConfiguration(once).build());
            case "sync-json" -> {
                System.setProperty("aws.cborEnabled", "false");
                yield new Calls(KinesisClient.class, KinesisClient.builder().overrideConfiguration(once).build());
            }
            default -> throw new IllegalArgumentException("usage: Adapter async-cbor|sync-json");
        };
    }

    /**
     * Makes one call.
     *
     * @param envelope the whole line: a subscription has its bounds there
     * @throws Unknown if the client has no such operation or member
     * @throws software.amazon.awssdk.core.exception.SdkException if the service refused, or the SDK failed
     */
    JsonNode call(String operation, JsonNode members, JsonNode envelope) {
        KinesisRequest request = request(operation, members);
        if (operation.equals(SUBSCRIBE) && client instanceof KinesisAsyncClient async) {
            return Subscription.read(async, (SubscribeToShardRequest) request, envelope);
        }
        String name = Character.toLowerCase(operation.charAt(0)) + operation.substring(1);
        Method method;
        try {
            method = type.getMethod(name, request.getClass());
        } catch (NoSuchMethodException absent) {
            throw new Unknown(type.getSimpleName() + " has no " + name);
        }
        return Values.toJson((SdkPojo) join(invoke(method, request)));
    }

    private static KinesisRequest request(String operation, JsonNode members) {
        try {
            Class<?> request = Class.forName(MODEL + operation + "Request");
            SdkPojo builder = (SdkPojo) request.getMethod("builder").invoke(null);
            return (KinesisRequest) Values.build(builder, members, operation);
        } catch (ClassNotFoundException absent) {
            throw new Unknown("the SDK has no operation " + operation);
        } catch (ReflectiveOperationException unexpected) {
            throw new IllegalStateException(operation + "Request is not built as the SDK's requests are", unexpected);
        }
    }

    private Object invoke(Method method, KinesisRequest request) {
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
        try {
            client.close();
        } catch (Exception failed) {
            throw new IllegalStateException(failed);
        }
    }
}
