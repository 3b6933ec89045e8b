"""What AWS was seen to answer to PutRecord and PutRecordBatch."""

import json

import pytest

from clients import ServiceError
from deliveries import HINTS, Maker, processors, s3
from endpoint import ACCOUNT
from tools import refused, until
from wire import post

fact = pytest.mark.fact
LONGEST = 1_024_000


@fact("firehose-record-size")
def test_a_record_may_be_empty_or_1000_kib(deliver, send_firehose):
    name = deliver()
    for data in (b"", b"x" * LONGEST):
        assert send_firehose("PutRecord", DeliveryStreamName=name, Record={"Data": data})["RecordId"]
    text = "at 'record.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"
    error = refused(send_firehose, "PutRecord", "ValidationException", None, DeliveryStreamName=name, Record={"Data": b"x" * (LONGEST + 1)})
    assert text in error.message
    records = [{"Data": b"x"}, {"Data": b"x" * (LONGEST + 1)}]
    error = refused(send_firehose, "PutRecordBatch", "ValidationException", None, DeliveryStreamName=name, Records=records)
    assert text.replace("record.data", "records.2.member.data") in error.message


@fact("firehose-batch-size")
def test_a_batch_has_4_mib(deliver, send_firehose):
    name = deliver()
    whole = [LONGEST] * 4 + [4_194_304 - 4 * LONGEST]
    out = send_firehose("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": b"x" * size} for size in whole])
    assert out["FailedPutCount"] == 0 and len(out["RequestResponses"]) == 5
    whole[-1] += 1
    refused(
        send_firehose, "PutRecordBatch", "InvalidArgumentException", "Records size exceeds 4 MB limit",
        DeliveryStreamName=name, Records=[{"Data": b"x" * size} for size in whole],
    )


@fact("firehose-encrypted-member")
def test_encrypted_is_always_told(server, deliver, send_firehose):
    name = deliver()
    for operation, members in (("PutRecord", {"Record": {"Data": "eA=="}}), ("PutRecordBatch", {"Records": [{"Data": "eA=="}]})):
        answer = post(server, f"Firehose_20150804.{operation}", {"DeliveryStreamName": name} | members)
        assert answer.status_code == 200 and json.loads(answer.content)["Encrypted"] is False


def test_concatenated_base64_is_refused(server, deliver):
    """Two encodings behind each other are no encoding."""
    answer = post(server, "Firehose_20150804.PutRecord", {"DeliveryStreamName": deliver(), "Record": {"Data": "Zm8=Zm8="}})
    assert answer.status_code == 400 and json.loads(answer.content)["__type"] == "SerializationException", answer.text


BUDGET = """
[limits.delivery_streams."slow-down"]
records_per_second = 1
"""


@pytest.mark.ours("a stream with little budget")
@fact("firehose-slow-down")
def test_slow_down(node, boto_firehose_at, tmp_path):
    """One budget for both operations; each record of a batch is answered for itself."""
    configuration = tmp_path / "levada.toml"
    configuration.write_text(BUDGET)
    send = boto_firehose_at(node("--limits", "strict", "--config", str(configuration)))
    maker = Maker("slow-down", send)
    name = maker()
    slow = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}

    def failed():
        out = send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": b"x"}] * 500)
        entries = [entry for entry in out["RequestResponses"] if "ErrorCode" in entry]
        assert len(out["RequestResponses"]) == 500 and out["FailedPutCount"] == len(entries)
        assert all(entry == slow for entry in entries)
        return entries

    def slowed():
        failed()
        try:
            send("PutRecord", DeliveryStreamName=name, Record={"Data": b"x"})
        except ServiceError as error:
            assert (error.code, error.status, error.message) == ("ServiceUnavailableException", 503, "Slow down.")
            return True
        return False

    until(failed, "records that were not taken")
    until(slowed, "a record that was not taken")
    maker.delete()


@fact("firehose-not-cloudwatch")
def test_only_cloudwatch_may_put_what_is_decompressed(deliver, send_firehose):
    name = deliver(s3(BufferingHints=HINTS, **processors(("Decompression", {"CompressionFormat": "GZIP"}))))
    text = f"Put to Firehose failed for AccountId: {ACCOUNT}, FirehoseName: {name} because the request is not originating from CloudWatch."
    refused(send_firehose, "PutRecord", "InvalidSourceException", text, DeliveryStreamName=name, Record={"Data": b"x"})
