package levada.conformance.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.reactivestreams.Subscriber;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEventStream;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/** One SubscribeToShard: collects events until there are enough, the time is over or the service ends the stream. */
final class Subscription implements Subscriber<SubscribeToShardEventStream> {
    /** A subscription lasts 300 s; who does not bound it waits a little longer than that. */
    private static final int WHOLE_SECONDS = 310;

    private final int wanted;
    private final ArrayNode events = JsonNodeFactory.instance.arrayNode();
    /** True once the service has ended the stream, false if there were enough events before. */
    private final CompletableFuture<Boolean> ended = new CompletableFuture<>();

    private org.reactivestreams.Subscription upstream;
    private boolean began;

    private Subscription(int wanted) {
        this.wanted = wanted;
    }

    /** Subscribes and reads within the envelope's bounds, {@code events} and {@code seconds}. */
    static JsonNode read(KinesisAsyncClient client, SubscribeToShardRequest request, JsonNode envelope) {
        Subscription subscription = new Subscription(envelope.path("events").asInt(Integer.MAX_VALUE));
        SubscribeToShardResponseHandler handler = SubscribeToShardResponseHandler.builder()
                .onEventStream(publisher -> publisher.subscribe(subscription))
                .build();
        CompletableFuture<Void> call = client.subscribeToShard(request, handler);
        call.whenComplete((nothing, failure) -> {
            if (failure != null) {
                subscription.ended.completeExceptionally(failure);
            }
        });
        try {
            return subscription.collected(envelope.path("seconds").asInt(WHOLE_SECONDS));
        } finally {
            call.cancel(true);
        }
    }

    private JsonNode collected(int seconds) {
        boolean complete = false;
        RuntimeException failure = null;
        try {
            complete = ended.get(seconds, TimeUnit.SECONDS);
        } catch (TimeoutException over) {
            complete = false;
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        } catch (ExecutionException failed) {
            failure = unwrapped(failed.getCause());
        }
        return answer(complete, failure);
    }

    private synchronized JsonNode answer(boolean complete, RuntimeException failure) {
        if (failure != null && !(began && failure instanceof AwsServiceException)) {
            throw failure;
        }
        if (upstream != null) {
            upstream.cancel();
        }
        ObjectNode out = JsonNodeFactory.instance.objectNode();
        out.set("events", events.deepCopy());
        out.put("ended", complete || failure != null);
        if (failure instanceof AwsServiceException refused) {
            out.set("error", Adapter.refusal(refused));
        }
        return out;
    }

    private static RuntimeException unwrapped(Throwable failure) {
        Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
        return cause instanceof RuntimeException runtime ? runtime : new IllegalStateException(cause);
    }

    @Override
    public synchronized void onSubscribe(org.reactivestreams.Subscription subscription) {
        began = true;
        upstream = subscription;
        subscription.request(Long.MAX_VALUE);
    }

    @Override
    public synchronized void onNext(SubscribeToShardEventStream event) {
        if (event instanceof SubscribeToShardEvent records && events.size() < wanted) {
            events.add(Values.toJson(records));
            if (events.size() == wanted) {
                ended.complete(false);
            }
        }
    }

    @Override
    public void onError(Throwable failure) {
        ended.completeExceptionally(failure);
    }

    @Override
    public void onComplete() {
        ended.complete(true);
    }
}
