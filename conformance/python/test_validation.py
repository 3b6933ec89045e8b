"""What the model forbids: ValidationException in AWS's grammar."""

import pytest

from tools import refused

fact = pytest.mark.fact
ENTRY = {"PartitionKey": "k", "Data": b"x"}
NULL = "Value null at '{}' failed to satisfy constraint: Member must not be null"
AT_LEAST = "Value '{}' at '{}' failed to satisfy constraint: Member must have value greater than or equal to {}"
AT_MOST = "Value '{}' at '{}' failed to satisfy constraint: Member must have value less than or equal to {}"
LONG = "at '{}' failed to satisfy constraint: Member must have length less than or equal to {}"
SHORT = "Value '{}' at '{}' failed to satisfy constraint: Member must have length greater than or equal to {}"
PATTERN = "Value '{}' at '{}' failed to satisfy constraint: Member must satisfy regular expression pattern: "

# (operation, members, fragments of the message, in any order, one for each error)
ROWS = [
    ("CreateStream", {}, [NULL.format("streamName")]),
    ("CreateStream", {"StreamName": "a b", "ShardCount": 0}, [PATTERN.format("a b", "streamName"), AT_LEAST.format(0, "shardCount", 1)]),
    ("CreateStream", {"StreamName": "x" * 129, "ShardCount": 1}, [f"Value '{'x' * 129}' " + LONG.format("streamName", 128)]),
    ("CreateStream", {"StreamName": "x", "ShardCount": 1, "StreamModeDetails": {}}, [NULL.format("streamModeDetails.streamMode")]),
    ("DescribeStream", {"StreamName": "x", "Limit": 10001}, [AT_MOST.format(10001, "limit", 10000)]),
    ("ListShards", {"StreamName": "x", "MaxResults": 0}, [AT_LEAST.format(0, "maxResults", 1)]),
    ("ListShards", {"StreamName": "x", "ShardFilter": {}}, [NULL.format("shardFilter.type")]),
    ("PutRecord", {"StreamName": "x", "PartitionKey": "", "Data": b"x"}, [SHORT.format("", "partitionKey", 1)]),
    ("PutRecord", {"StreamName": "x", "PartitionKey": "k" * 257, "Data": b"x"}, [LONG.format("partitionKey", 256)]),
    ("PutRecord", {"StreamName": "x", "PartitionKey": "k"}, [NULL.format("data")]),
    ("PutRecord", {"StreamName": "x", "ExplicitHashKey": "01", **ENTRY},
     [PATTERN.format("01", "explicitHashKey") + r"^(0|([1-9]\d{0,38}))$"]),
    ("PutRecords", {"StreamName": "x", "Records": []}, [SHORT.format("[]", "records", 1)]),
    ("PutRecords", {"StreamName": "x", "Records": [ENTRY] * 501}, [LONG.format("records", 500)]),
    ("PutRecords", {"StreamName": "x", "Records": [ENTRY, {"PartitionKey": "", "Data": b"x"}]},
     [SHORT.format("", "records.2.member.partitionKey", 1)]),
    ("GetShardIterator", {"StreamName": "x", "ShardId": "shardId-000000000000", "ShardIteratorType": "SOMEWHERE"},
     ["Value 'SOMEWHERE' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: "
      "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"]),
    ("GetRecords", {"ShardIterator": "x", "Limit": 10001}, [AT_MOST.format(10001, "limit", 10000)]),
    ("GetRecords", {}, [NULL.format("shardIterator")]),
    ("SplitShard", {"StreamName": "x"}, [NULL.format("shardToSplit"), NULL.format("newStartingHashKey")]),
    ("SplitShard", {"StreamName": "x", "ShardToSplit": "a b", "NewStartingHashKey": "-1"},
     [PATTERN.format("a b", "shardToSplit"), PATTERN.format("-1", "newStartingHashKey")]),
    ("MergeShards", {"StreamName": "x", "ShardToMerge": "", "AdjacentShardToMerge": "b"},
     [SHORT.format("", "shardToMerge", 1), PATTERN.format("", "shardToMerge")]),
    ("UpdateShardCount", {"StreamName": "x", "TargetShardCount": 0, "ScalingType": "OTHER"},
     [AT_LEAST.format(0, "targetShardCount", 1),
      "Value 'OTHER' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set: [UNIFORM_SCALING]"]),
    ("AddTagsToStream", {"StreamName": "x", "Tags": {}},
     ["Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1"]),
    ("AddTagsToStream", {"StreamName": "x", "Tags": {"k": "v" * 257}}, [LONG.format("tags.k.member", 256)]),
    ("RemoveTagsFromStream", {"StreamName": "x", "TagKeys": []}, [SHORT.format("[]", "tagKeys", 1)]),
    ("RemoveTagsFromStream", {"StreamName": "x", "TagKeys": ["a"] * 51}, [LONG.format("tagKeys", 50)]),
    ("RegisterStreamConsumer", {"ConsumerName": "a b"}, [NULL.format("streamARN"), PATTERN.format("a b", "consumerName")]),
    ("StartStreamEncryption", {"StreamName": "x", "EncryptionType": "AES", "KeyId": "k"},
     ["Value 'AES' at 'encryptionType' failed to satisfy constraint: Member must satisfy enum value set: [KMS, NONE]"]),
    ("StartStreamEncryption", {"StreamName": "x", "EncryptionType": "KMS", "KeyId": ""}, [SHORT.format("", "keyId", 1)]),
    ("EnableEnhancedMonitoring", {"StreamName": "x", "ShardLevelMetrics": []}, [SHORT.format("[]", "shardLevelMetrics", 1)]),
    ("IncreaseStreamRetentionPeriod", {"StreamName": "x"}, [NULL.format("retentionPeriodHours")]),
    ("UpdateMaxRecordSize", {"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/x", "MaxRecordSizeInKiB": 1023},
     [AT_LEAST.format(1023, "maxRecordSizeInKiB", 1024)]),
    ("UpdateMaxRecordSize", {"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/x", "MaxRecordSizeInKiB": 10241},
     [AT_MOST.format(10241, "maxRecordSizeInKiB", 10240)]),
    ("UpdateStreamMode", {"StreamARN": "nonsense", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
     [PATTERN.format("nonsense", "streamARN")]),
    ("SubscribeToShard", {"ShardId": "shardId-000000000000"}, [NULL.format("consumerARN"), NULL.format("startingPosition")]),
    ("TagResource", {"Tags": {"a": "b"}}, [NULL.format("resourceARN")]),
    ("PutResourcePolicy", {"ResourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/x"}, [NULL.format("policy")]),
]


@fact("pattern-anchored")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_constraints(send, row):
    operation, members, fragments = row
    message = refused(send, operation, "ValidationException", **members).message
    errors = "error" if len(fragments) == 1 else "errors"
    assert message.startswith(f"{len(fragments)} validation {errors} detected: "), message
    assert all(fragment in message for fragment in fragments), message
    assert message.count("; ") == len(fragments) - 1


def test_ten_errors_at_most(send):
    entries = [{"PartitionKey": "", "Data": b"x"}] * 12
    message = refused(send, "PutRecords", "ValidationException", StreamName="x", Records=entries).message
    assert message.startswith("10 validation errors detected: ") and message.count("failed to satisfy constraint") == 10
