package levada.conformance.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/**
 * The AWS SDK for Java 2 as an adapter of the conformance suite: a JSON document a line, in both directions, as
 * {@code conformance/README.md} describes it.
 *
 * <p>The one argument names the client: {@code async-cbor} (Netty, HTTP/2, what the SDK does by default) or {@code sync-json}
 * (Apache HTTP client, HTTP/1.1, CBOR switched off).
 */
public final class Adapter {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The code of everything that is not an error of the service. */
    private static final String NOT_THE_SERVICE = "ClientError";

    private final Calls calls;

    private Adapter(Calls calls) {
        this.calls = calls;
    }

    public static void main(String[] args) throws IOException {
        // Whatever a library prints must not land between the answers.
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        try (Calls calls = Calls.through(args.length == 1 ? args[0] : "")) {
            Adapter adapter = new Adapter(calls);
            BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = requests.readLine(); line != null; line = requests.readLine()) {
                answers.println(JSON.writeValueAsString(adapter.answer(JSON.readTree(line))));
            }
        }
    }

    private ObjectNode answer(JsonNode request) {
        ObjectNode answer = JSON.createObjectNode().set("id", request.get("id"));
        try {
            return answer.set("out", calls.call(request));
        } catch (Unknown unknown) {
            return answer.put("unknown", unknown.getMessage());
        } catch (AwsServiceException refused) {
            return answer.set("error", refusal(refused));
        } catch (RuntimeException failed) {
            failed.printStackTrace();
            return answer.set("error", error(NOT_THE_SERVICE, String.valueOf(failed), 0));
        }
    }

    /** What the service said, without what the SDK adds to it. */
    static ObjectNode refusal(AwsServiceException refused) {
        String code = refused.awsErrorDetails().errorCode();
        if (code == null) {
            return error(NOT_THE_SERVICE, "an answer that names no error: HTTP " + refused.statusCode(), 0);
        }
        return error(code, refused.awsErrorDetails().errorMessage(), refused.statusCode());
    }

    private static ObjectNode error(String code, String message, int status) {
        return JSON.createObjectNode().put("code", code).put("message", message).put("status", status);
    }
}
