"""OpenSearch destinations, indexed by a real node."""

import base64
import datetime
import json
import re

import pytest

from conftest import DOMAIN, SEARCH
from deliveries import ROLE, elasticsearch, opensearch, plain, serverless
from tools import until

HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 1}
DOCUMENTS = [{"n": n, "text": f"document {n} é"} for n in range(300)]


def put(send, name, documents):
    records = [{"Data": json.dumps(one).encode()} for one in documents]
    assert send("PutRecordBatch", DeliveryStreamName=name, Records=records)["FailedPutCount"] == 0


def in_order(found):
    return sorted(found.values(), key=lambda one: one["n"])


KINDS = [
    ("domain", opensearch, {}, {"DocumentIdOptions": {"DefaultDocumentIdFormat": "FIREHOSE_DEFAULT"}}),
    ("own-ids", opensearch, {}, {"DocumentIdOptions": {"DefaultDocumentIdFormat": "NO_DOCUMENT_ID"}}),
    ("elasticsearch", elasticsearch, {}, {}),
    ("serverless", serverless, {}, {}),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_every_document_is_indexed_once(deliver, send, search, bucket, kind):
    label, make, _, members = kind
    if make is not serverless:
        members = members | {"IndexRotationPeriod": "NoRotation"}
    name = deliver(make(url=SEARCH, index=f"once-{label}", bucket=bucket[0], BufferingHints=HINTS, **members))
    put(send, name, DOCUMENTS)
    until(lambda: len(search.documents(f"once-{label}")[0]) >= len(DOCUMENTS), "all documents")
    found, _ = search.documents(f"once-{label}")
    assert in_order(found) == DOCUMENTS
    assert bucket[1]() == {}


ROTATIONS = [
    ("NoRotation", "", ""),
    ("OneHour", "-%Y-%m-%d-%H", r"-\d{4}(-\d\d){3}"),
    ("OneDay", "-%Y-%m-%d", r"-\d{4}(-\d\d){2}"),
    ("OneWeek", None, r"-\d{4}-w\d\d"),
    ("OneMonth", "-%Y-%m", r"-\d{4}-\d\d"),
]


@pytest.mark.parametrize("rotation", ROTATIONS, ids=lambda row: row[0])
def test_index_rotation(deliver, send, search, bucket, rotation):
    period, suffix, pattern = rotation
    index = f"rotated-{period.lower()}"
    times = [datetime.datetime.now(datetime.timezone.utc)]
    name = deliver(opensearch(url=SEARCH, index=index, bucket=bucket[0], BufferingHints=HINTS, IndexRotationPeriod=period))
    put(send, name, [{"n": 1}])
    until(lambda: search.documents(f"{index}*")[0], "the document")
    times.append(datetime.datetime.now(datetime.timezone.utc))
    (found,) = search.documents(f"{index}*")[1]
    assert re.fullmatch(re.escape(index) + pattern, found), found
    if suffix is not None:
        assert found in {index + time.strftime(suffix) for time in times}


def test_documents_that_do_not_fit_end_in_the_error_output(aws, deliver, send, search, bucket):
    """A bulk request of which some documents fail: the others are indexed, once."""
    search.put("typed", {"mappings": {"properties": {"n": {"type": "integer"}}}})
    name = deliver.adopt("opensearch-by-the-cli")
    aws("firehose", "create-delivery-stream", "--delivery-stream-name", name, "--amazonopensearchservice-destination-configuration", {
        "RoleARN": ROLE, "DomainARN": DOMAIN, "IndexName": "typed", "IndexRotationPeriod": "NoRotation",
        "BufferingHints": HINTS, "RetryOptions": {"DurationInSeconds": 0},
        "S3Configuration": plain(bucket[0], BufferingHints=HINTS, ErrorOutputPrefix="failed/!{firehose:error-output-type}/"),
    })
    described = lambda: aws("firehose", "describe-delivery-stream", "--delivery-stream-name", name)["DeliveryStreamDescription"]
    until(lambda: described()["DeliveryStreamStatus"] == "ACTIVE", "ACTIVE")
    documents = [{"n": n if n % 3 else f"no number {n}"} for n in range(30)]
    put(send, name, documents)
    good = [one for one in documents if isinstance(one["n"], int)]
    bad = [one for one in documents if one not in good]
    until(lambda: len(search.documents("typed")[0]) >= len(good), "the good documents")
    lines = lambda: [json.loads(line) for line in b"".join(bucket[1]("failed/AmazonOpenSearchService-failed/").values()).splitlines()]
    until(lambda: len(lines()) >= len(bad), "the error output")
    assert in_order(search.documents("typed")[0]) == good
    assert [json.loads(base64.b64decode(line["rawData"])) for line in lines()] == bad
    for line in lines():
        assert list(line) == [
            "attemptsMade", "arrivalTimestamp", "errorCode", "errorMessage", "attemptEndingTimestamp", "esDocumentId",
            "esIndexName", "esTypeName", "rawData",
        ]
        assert line["esIndexName"] == "typed" and line["attemptsMade"] >= 1


def test_all_documents_are_backed_up_if_asked(deliver, send, search, bucket):
    name = deliver(opensearch(
        url=SEARCH, index="backed-up", bucket=bucket[0], BufferingHints=HINTS, IndexRotationPeriod="NoRotation",
        S3BackupMode="AllDocuments", backup={"BufferingHints": HINTS, "Prefix": "all/"},
    ))
    put(send, name, [{"n": 1}, {"n": 2}])
    until(lambda: len(search.documents("backed-up")[0]) == 2, "the documents")
    until(lambda: b"".join(bucket[1]("all/").values()) == b'{"n": 1}{"n": 2}', "the backup")
