"""A Flink job copies a stream to others through the Kinesis connector's three sources and its sink, while the stream is split."""

import collections
import time

from conftest import make_stream, shards, split_in_the_middle, until
from load import Load

SOURCES = ("source", "polling", "fanout")
JOB_SECONDS = 120
# How long nothing more may arrive after everything has.
QUIET_SECONDS = 2
# The newer source of this version reads a shard without ever pausing. AWS's five calls a second and shard make it fail and start again,
# which repeats records.
FLAGS = ("--limits", "open")
# Flink 1.19 looks into the JDK's own classes.
OPENED = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "util", "util.concurrent", "net", "nio")]


class Reader:
    """Reads all shards of a stream, from the beginning, as often as asked."""

    def __init__(self, kinesis, stream):
        self.kinesis, self.records = kinesis, []
        self.iterators = [
            kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            for shard in shards(kinesis, stream)
        ]

    def read(self):
        for n, iterator in enumerate(self.iterators):
            page = self.kinesis.get_records(ShardIterator=iterator)
            self.records += page["Records"]
            self.iterators[n] = page["NextShardIterator"]
        time.sleep(0.25)
        return len(self.records)


def test_every_record_is_copied_once(node, kinesis, java):
    arn = make_stream(kinesis, "flink", 2)
    copies = [f"{source}={make_stream(kinesis, f'flink-{source}', 2)}" for source in SOURCES]
    load = Load(kinesis, "flink")
    load.start()
    job = java("levada.conformance.flink.Job", arn, *copies, flags=OPENED, AWS_ENDPOINT_URL_KINESIS=node.url)
    readers = {source: Reader(kinesis, f"flink-{source}") for source in SOURCES}
    for source, reader in readers.items():
        until(lambda: job.running() and reader.read(), f"the job copies ({source})", JOB_SECONDS)
    split_in_the_middle(kinesis, "flink", min(shards(kinesis, "flink")))
    put_before = load.rounds
    until(lambda: load.rounds >= put_before + 40, "the load goes on after the split")
    put = load.end()
    for source, reader in readers.items():
        until(lambda: job.running() and reader.read() >= len(put), f"everything copied ({source})", JOB_SECONDS)
        time.sleep(QUIET_SECONDS)
        reader.read()
        copied = collections.Counter(record["Data"].decode() for record in reader.records)
        assert copied == collections.Counter(put), source
        assert all(record["PartitionKey"] == record["Data"].decode().split()[0] for record in reader.records)
    job.end()
