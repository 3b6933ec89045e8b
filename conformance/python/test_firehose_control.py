"""What AWS was seen to answer about delivery streams: states, versions, defaults, refusals."""

import pytest

from deliveries import HINTS, NOT_FOUND, ROLE, Maker, active, described, http, opensearch, plain, processors, s3, splunk
from endpoint import ACCOUNT, ARN
from tools import refused, until

fact = pytest.mark.fact
DESTINATION = "destinationId-000000000001"
INVALID = "InvalidArgumentException"


def update(call, name, version="1", destination=DESTINATION, **members):
    return call(
        "UpdateDestination", DeliveryStreamName=name, CurrentDeliveryStreamVersionId=version, DestinationId=destination, **members
    )


def s3_update(call, name, version="1", **members):
    return update(call, name, version, ExtendedS3DestinationUpdate=members)


def extended(call, name):
    return described(call, name)["Destinations"][0]["ExtendedS3DestinationDescription"]


@fact("firehose-version-ids", "firehose-destination-id")
def test_versions(deliver, send_firehose):
    name = deliver()
    first = described(send_firehose, name)
    assert (first["VersionId"], first["Destinations"][0]["DestinationId"]) == ("1", DESTINATION)
    s3_update(send_firehose, name, Prefix="p/", BufferingHints={"SizeInMBs": 7, "IntervalInSeconds": 70})
    second = described(send_firehose, name)
    assert second["VersionId"] == "2" and second["LastUpdateTimestamp"] >= first["CreateTimestamp"]
    assert second["CreateTimestamp"] == first["CreateTimestamp"]
    s3_update(send_firehose, name, "2", Prefix="p/")
    assert described(send_firehose, name)["VersionId"] == "2", "nothing changed"
    s3_update(send_firehose, name, "2", CompressionFormat="GZIP")
    now = extended(send_firehose, name)
    assert (now["Prefix"], now["CompressionFormat"], now["BufferingHints"]["SizeInMBs"]) == ("p/", "GZIP", 7), "what was not sent stays"
    assert described(send_firehose, name)["VersionId"] == "3"


@fact("firehose-both-s3-descriptions")
def test_the_older_form_is_told_in_both(deliver, send_firehose):
    name = deliver({"S3DestinationConfiguration": plain(Prefix="old/")})
    (destination,) = described(send_firehose, name)["Destinations"]
    assert destination["S3DestinationDescription"]["Prefix"] == destination["ExtendedS3DestinationDescription"]["Prefix"] == "old/"
    update(send_firehose, name, S3DestinationUpdate={"Prefix": "new/"})
    assert extended(send_firehose, name)["Prefix"] == "new/"


@fact("firehose-unknown-cursor")
def test_an_unknown_cursor_is_ignored(deliver, send_firehose):
    name = deliver()
    out = send_firehose("DescribeDeliveryStream", DeliveryStreamName=name, ExclusiveStartDestinationId="destinationId-000000000009")
    assert len(out["DeliveryStreamDescription"]["Destinations"]) == 1


@pytest.mark.ours("a node of few streams")
@fact("firehose-list-ten")
def test_ten_names(node, boto_firehose_at):
    send = boto_firehose_at(node("--limits", "open"))
    maker = Maker("ten", send)
    names = [maker(suffix=f"-{n:02}") for n in range(12)]
    first = send("ListDeliveryStreams")
    assert first["DeliveryStreamNames"] == names[:10] and first["HasMoreDeliveryStreams"] is True
    second = send("ListDeliveryStreams", ExclusiveStartDeliveryStreamName=names[9])
    assert second["DeliveryStreamNames"] == names[10:] and second["HasMoreDeliveryStreams"] is False
    maker.delete()


@fact("firehose-described-defaults")
def test_defaults(deliver, send_firehose):
    now = described(send_firehose, deliver())
    assert now["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    s3_form = now["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert s3_form["BufferingHints"] == {"SizeInMBs": 5, "IntervalInSeconds": 300}
    assert s3_form["CompressionFormat"] == "UNCOMPRESSED"
    assert s3_form["EncryptionConfiguration"] == {"NoEncryptionConfig": "NoEncryption"}
    assert (s3_form["S3BackupMode"], s3_form["CloudWatchLoggingOptions"]) == ("Disabled", {"Enabled": False})


@fact("firehose-no-sse-of-sourced", "firehose-put-to-sourced")
def test_a_data_stream_as_the_source(deliver, send_firehose, stream):
    source = {"KinesisStreamARN": ARN + stream(1), "RoleARN": ROLE}
    name = deliver(DeliveryStreamType="KinesisStreamAsSource", KinesisStreamSourceConfiguration=source)
    now = described(send_firehose, name)
    assert now["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert "DeliveryStreamEncryptionConfiguration" not in now
    told = now["Source"]["KinesisStreamSourceDescription"]
    assert {member: told[member] for member in source} == source
    assert told["DeliveryStartTimestamp"] <= now["CreateTimestamp"].now(now["CreateTimestamp"].tzinfo)
    text = "This operation is not permitted on KinesisStreamAsSource delivery stream type."
    refused(send_firehose, "PutRecord", INVALID, text, DeliveryStreamName=name, Record={"Data": b"x"})
    refused(send_firehose, "PutRecordBatch", INVALID, text, DeliveryStreamName=name, Records=[{"Data": b"x"}])
    names = send_firehose("ListDeliveryStreams", DeliveryStreamType="KinesisStreamAsSource", Limit=10000)["DeliveryStreamNames"]
    assert name in names


@pytest.mark.ours("--lifecycle aws")
@fact("firehose-creating", "firehose-not-active", "firehose-sse-states")
def test_states(node, boto_firehose_at):
    """Every state is to be seen with AWS's times; puts wait for ACTIVE."""
    server = node("--lifecycle", "aws", "--test-controls")
    send = boto_firehose_at(server)
    send("CreateDeliveryStream", DeliveryStreamName="states", **s3())
    assert described(send, "states")["DeliveryStreamStatus"] == "CREATING"
    text = f"Firehose states is not active in {ACCOUNT} account."
    refused(send, "PutRecord", "ResourceNotFoundException", text, DeliveryStreamName="states", Record={"Data": b"x"})
    server.advance(600)
    active(send, "states")
    status = lambda: described(send, "states")["DeliveryStreamEncryptionConfiguration"]["Status"]
    key = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/a-key"}
    send("StartDeliveryStreamEncryption", DeliveryStreamName="states", DeliveryStreamEncryptionConfigurationInput=key)
    assert status() == "ENABLING"
    server.advance(600)
    until(lambda: status() == "ENABLED", "ENABLED")
    told = described(send, "states")["DeliveryStreamEncryptionConfiguration"]
    assert {member: told[member] for member in key} == key
    send("StopDeliveryStreamEncryption", DeliveryStreamName="states")
    assert status() == "DISABLING"
    server.advance(600)
    until(lambda: status() == "DISABLED", "DISABLED")
    send("DeleteDeliveryStream", DeliveryStreamName="states")


@fact("firehose-not-found")
def test_what_is_not_there(send_firehose):
    records = {"PutRecord": {"Record": {"Data": b"x"}}, "PutRecordBatch": {"Records": [{"Data": b"x"}]}}
    calls = [
        *records.items(), ("DescribeDeliveryStream", {}), ("DeleteDeliveryStream", {}), ("ListTagsForDeliveryStream", {}),
        ("TagDeliveryStream", {"Tags": [{"Key": "a"}]}), ("UntagDeliveryStream", {"TagKeys": ["a"]}),
        ("StartDeliveryStreamEncryption", {}), ("StopDeliveryStreamEncryption", {}),
    ]
    for operation, members in calls:
        refused(send_firehose, operation, "ResourceNotFoundException", NOT_FOUND, DeliveryStreamName="nothing", **members)
    with pytest.raises(Exception, match=NOT_FOUND):
        s3_update(send_firehose, "nothing", Prefix="p/")


@fact(
    "firehose-already-exists", "firehose-version-mismatch", "firehose-destination-not-found", "firehose-one-destination",
    "firehose-nothing-to-update", "firehose-type-change", "firehose-backup-stays",
)
def test_refusals(deliver, send_firehose):
    name = deliver(s3(S3BackupMode="Enabled", S3BackupConfiguration=plain("backup")))
    one = {"DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": "1", "DestinationId": DESTINATION}
    prefix = {"ExtendedS3DestinationUpdate": {"Prefix": "p/"}}
    (splunk_form,) = splunk().values()
    splunk_form = {member: value for member, value in splunk_form.items() if member != "S3Configuration"}
    rows = [
        ("CreateDeliveryStream", {"DeliveryStreamName": name, **s3()},
         "ResourceInUseException", f"Firehose {name} under accountId {ACCOUNT} already exists"),
        ("CreateDeliveryStream", {"DeliveryStreamName": "none"},
         INVALID, "Exactly one destination configuration is supported for a Firehose"),
        ("CreateDeliveryStream", {"DeliveryStreamName": "two", **s3(), **http()},
         INVALID, "Exactly one destination configuration is supported for a Firehose"),
        ("UpdateDestination", one | {"CurrentDeliveryStreamVersionId": "7"} | prefix, "ConcurrentModificationException",
         f"Cannot update firehose: {name} since the current version id: 1 and specified version id: 7 do not match"),
        ("UpdateDestination", one | {"DestinationId": "destinationId-000000000002"} | prefix,
         INVALID, "Destination Id destinationId-000000000002 not found"),
        ("UpdateDestination", one, INVALID, "At least one destination or source configuration update must be provided"),
        ("UpdateDestination", one | {"ExtendedS3DestinationUpdate": {"S3BackupMode": "Disabled"}},
         INVALID, "Disabling S3 backup is not currently supported."),
    ]
    for operation, members, code, message in rows:
        refused(send_firehose, operation, code, message, **members)
    error = refused(send_firehose, "UpdateDestination", INVALID, None, **one, SplunkDestinationUpdate=splunk_form)
    assert error.message.startswith("Changing the destination type to or from ")
    assert error.message.endswith(" is not supported at this time.")
    assert described(send_firehose, name)["VersionId"] == "1", "nothing of it changed anything"


SUPPLIED = "The supplied prefix(es) do not satisfy the following constraint: "
LAMBDA = ("Lambda", {"LambdaArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"})
ERRORS = "e/!{firehose:error-output-type}/"
PREFIXES = [
    ({"Prefix": "!{timestamp:yyyy}/"}, SUPPLIED + "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"),
    ({"Prefix": "p/", "ErrorOutputPrefix": "!{timestamp:yyyy}/"},
     SUPPLIED + "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}"),
    ({"Prefix": ERRORS, "ErrorOutputPrefix": ERRORS},
     SUPPLIED + "Prefix must not contain any occurrence of !{firehose:error-output-type}"),
    ({"Prefix": "p" * 513}, SUPPLIED + "Length of evaluated prefix cannot be greater than 512"),
]


@fact("firehose-error-prefix-needed", "firehose-error-type-needed", "firehose-prefix-length")
@pytest.mark.parametrize("row", PREFIXES, ids=range(len(PREFIXES)))
def test_prefixes_that_are_refused(send_firehose, row):
    members, text = row
    refused(send_firehose, "CreateDeliveryStream", INVALID, text, DeliveryStreamName="refused", **s3(**members))


@fact("firehose-prefix-length")
def test_the_longest_prefix(deliver, send_firehose):
    name = deliver(s3(Prefix="p" * 512))
    assert extended(send_firehose, name)["Prefix"] == "p" * 512


EXTRACTION = ("CloudWatchLogProcessing", {"DataMessageExtraction": "true"})
PROCESSING = [
    ((), "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled."),
    ((LAMBDA,) * 6, "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled."),
    ((EXTRACTION,), "CloudWatchLogProcessingProcessor can only be enabled with DecompressionProcessor"),
    ((("Decompression", {"CompressionFormat": "ZIP"}),), "CompressionFormat has to be GZIP"),
]


@fact("firehose-processor-count", "firehose-extraction-alone", "firehose-decompression-format")
@pytest.mark.parametrize("row", PROCESSING, ids=range(len(PROCESSING)))
def test_processing_that_is_refused(send_firehose, row):
    chain, text = row
    configuration = s3(**processors(*chain))
    refused(send_firehose, "CreateDeliveryStream", INVALID, text, DeliveryStreamName="refused", **configuration)


def test_backup_modes_of_requests(deliver, send_firehose):
    """OpenSearch's cannot be changed at all; the others' only from failed records to all."""
    name = deliver(http(S3BackupMode="FailedDataOnly"))
    update(send_firehose, name, HttpEndpointDestinationUpdate={"S3BackupMode": "AllData"})
    told = described(send_firehose, name)["Destinations"][0]["HttpEndpointDestinationDescription"]
    assert told["S3BackupMode"] == "AllData"


def test_tags_page(deliver, send_firehose):
    name = deliver(Tags=[{"Key": f"k{n:02}", "Value": str(n)} for n in range(50)])
    keys, more = [], {}
    while True:
        page = send_firehose("ListTagsForDeliveryStream", DeliveryStreamName=name, Limit=20, **more)
        keys += [tag["Key"] for tag in page["Tags"]]
        if not page["HasMoreTags"]:
            break
        more = {"ExclusiveStartTagKey": keys[-1]}
    assert keys == [f"k{n:02}" for n in range(50)]
    refused(send_firehose, "TagDeliveryStream", "LimitExceededException", None, DeliveryStreamName=name, Tags=[{"Key": "one-more"}])


UNSERVED = [
    {"RedshiftDestinationConfiguration": {
        "RoleARN": ROLE, "ClusterJDBCURL": "jdbc:redshift://cluster.abc.us-east-1.redshift.amazonaws.com:5439/db", "CopyCommand": {"DataTableName": "t"},
        "S3Configuration": plain()}},
    {"IcebergDestinationConfiguration": {
        "RoleARN": ROLE, "CatalogConfiguration": {"CatalogARN": f"arn:aws:glue:us-east-1:{ACCOUNT}:catalog"},
        "S3Configuration": plain()}},
    s3(DataFormatConversionConfiguration={"Enabled": True}, BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 60}),
]


@pytest.mark.ours("AWS serves them")
@pytest.mark.parametrize("configuration", UNSERVED, ids=lambda one: next(iter(one)))
def test_what_is_not_served_is_refused_by_name(send_firehose, configuration):
    refused(send_firehose, "CreateDeliveryStream", INVALID, None, DeliveryStreamName="refused", **configuration)


def test_search_destinations_are_told(deliver, send_firehose):
    name = deliver(opensearch(BufferingHints=HINTS, IndexRotationPeriod="OneWeek"))
    (destination,) = described(send_firehose, name)["Destinations"]
    told = destination["AmazonopensearchserviceDestinationDescription"]
    assert (told["IndexName"], told["IndexRotationPeriod"], told["BufferingHints"]) == ("records", "OneWeek", HINTS)
    assert told["S3BackupMode"] == "FailedDocumentsOnly" and told["RetryOptions"] == {"DurationInSeconds": 300}
    assert "ExtendedS3DestinationDescription" not in destination
