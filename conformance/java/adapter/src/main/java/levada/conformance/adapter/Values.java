package levada.conformance.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.protocol.MarshallingKnownType;
import software.amazon.awssdk.core.traits.ListTrait;
import software.amazon.awssdk.core.traits.MapTrait;
import software.amazon.awssdk.core.util.SdkAutoConstructList;
import software.amazon.awssdk.core.util.SdkAutoConstructMap;
import software.amazon.awssdk.utils.builder.Buildable;

/** Between the suite's JSON and the SDK's structures, by the SDK's own description of their fields. */
final class Values {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    /** Half a millisecond, in ns: times are rounded to ms. */
    private static final long HALF_MILLI = 500_000;

    private Values() {}

    /**
     * Fills a builder and builds.
     *
     * @param where the way to this structure, for the message
     * @throws Unknown if the structure lacks a member
     */
    static Object build(SdkPojo builder, JsonNode members, String where) {
        members.properties().forEach(member -> {
            String name = member.getKey();
            SdkField<?> field = builder.sdkFields().stream()
                    .filter(candidate -> candidate.memberName().equals(name))
                    .findFirst()
                    .orElseThrow(() -> new Unknown(where + " has no member " + name));
            field.set(builder, fromJson(field, member.getValue(), where + "." + name));
        });
        return ((Buildable) builder).build();
    }

    private static Object fromJson(SdkField<?> field, JsonNode value, String where) {
        MarshallingKnownType type = field.marshallingType().getKnownType();
        return switch (type) {
            case STRING -> value.textValue();
            case INTEGER -> value.intValue();
            case LONG -> value.longValue();
            case DOUBLE -> value.doubleValue();
            case BOOLEAN -> value.booleanValue();
            case INSTANT -> Instant.ofEpochMilli(value.get("$ms").longValue());
            case SDK_BYTES -> SdkBytes.fromByteArray(bytes(value.get("$bytes")));
            case SDK_POJO -> build(field.constructor().get(), value, where);
            case LIST -> list(field, value, where);
            case MAP -> map(field, value, where);
            default -> throw new Unknown(where + " is of a type that neither service used: " + type);
        };
    }

    private static List<Object> list(SdkField<?> field, JsonNode value, String where) {
        SdkField<?> element = field.getRequiredTrait(ListTrait.class).memberFieldInfo();
        List<Object> list = new ArrayList<>();
        value.forEach(one -> list.add(fromJson(element, one, where)));
        return list;
    }

    private static Map<String, Object> map(SdkField<?> field, JsonNode value, String where) {
        SdkField<?> element = field.getRequiredTrait(MapTrait.class).valueFieldInfo();
        Map<String, Object> map = new LinkedHashMap<>();
        value.properties().forEach(entry -> map.put(entry.getKey(), fromJson(element, entry.getValue(), where)));
        return map;
    }

    private static byte[] bytes(JsonNode base64) {
        try {
            return base64.binaryValue();
        } catch (IOException wrong) {
            throw new UncheckedIOException(wrong);
        }
    }

    /** A structure's members, without those that the service did not send. */
    static ObjectNode toJson(SdkPojo structure) {
        ObjectNode members = JSON.objectNode();
        for (SdkField<?> field : structure.sdkFields()) {
            Object value = field.getValueOrDefault(structure);
            boolean absent = value == null || value instanceof SdkAutoConstructList || value instanceof SdkAutoConstructMap;
            if (!absent) {
                members.set(field.memberName(), valueToJson(value));
            }
        }
        return members;
    }

    private static JsonNode valueToJson(Object value) {
        if (value instanceof SdkPojo structure) {
            return toJson(structure);
        } else if (value instanceof List<?> list) {
            ArrayNode array = JSON.arrayNode();
            list.forEach(one -> array.add(valueToJson(one)));
            return array;
        } else if (value instanceof Map<?, ?> map) {
            ObjectNode object = JSON.objectNode();
            map.forEach((key, one) -> object.set((String) key, valueToJson(one)));
            return object;
        } else if (value instanceof SdkBytes bytes) {
            return JSON.objectNode().set("$bytes", JSON.binaryNode(bytes.asByteArray()));
        } else if (value instanceof Instant time) {
            return JSON.objectNode().put("$ms", time.plusNanos(HALF_MILLI).toEpochMilli());
        } else if (value instanceof Integer number) {
            return JSON.numberNode(number);
        } else if (value instanceof Long number) {
            return JSON.numberNode(number);
        } else if (value instanceof Double number) {
            return JSON.numberNode(number);
        } else if (value instanceof Boolean flag) {
            return JSON.booleanNode(flag);
        } else {
            return JSON.textNode((String) value);
        }
    }
}
