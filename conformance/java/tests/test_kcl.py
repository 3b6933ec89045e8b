"""An application on the Kinesis Client Library follows a stream through a split and a merge while records are put, and one of its
two workers is killed in between. Twice at once: one application polls, one has enhanced fan-out."""

import collections
import json
import threading

import pytest

from conftest import active, children, make_stream, shards, split_in_the_middle, until
from load import KEYS, Load
from server import Server

STREAM = "kcl"
APPLICATIONS = ("polling", "fanout")
# How long the library may take to divide two shards among new workers, and to notice that one died.
LIBRARY_SECONDS = 180


class Worker:
    """A worker's process and what it has told so far."""

    def __init__(self, name, process):
        self.name, self.process, self.told = name, process, []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.process.stdout:
            if line.endswith(b"\n"):  # the last line of a killed worker may be cut
                self.told.append({"worker": self.name, **json.loads(line)})

    def shards_in_hand(self):
        """The shards that it began and neither ended nor gave up."""
        held = set()
        for line in list(self.told):
            if line["event"] == "began":
                held.add(line["shard"])
            elif line["event"] in ("ended", "lost"):
                held.discard(line["shard"])
        return held

    def end(self, kill=False):
        (self.process.kill if kill else self.process.end)()
        self._reader.join()


class Application:
    """Two workers of one application, and how their processing went."""

    def __init__(self, retrieval, start):
        self.retrieval, self.start = retrieval, start
        self.workers, self.killed = [], None

    def add_worker(self):
        name = f"{self.retrieval}-{len(self.workers) + 1}"
        self.workers.append(Worker(name, self.start(self.retrieval, name)))

    def kill_the_busier(self):
        self.killed = max(self.workers, key=lambda worker: len(worker.shards_in_hand()))
        assert self.killed.shards_in_hand()
        self.killed.end(kill=True)

    def history(self):
        """What all workers told, in the order in which it happened."""
        return sorted((line for worker in self.workers for line in list(worker.told)), key=lambda line: line["at"])

    def began(self):
        return {line["shard"] for line in self.history() if line["event"] == "began"}

    def processed(self):
        """(worker and shard, partition key, number) of every record as it was processed."""
        for line in self.history():
            for key, data in line.get("records", ()):
                assert data.startswith(key + " ")
                yield (line["worker"], line["shard"]), key, int(data.split()[1])

    def torn_away(self):
        """(worker, shard) where a worker died or lost its lease without being asked to hand the shard over."""
        torn = {(self.killed.name, shard) for shard in self.killed.shards_in_hand()}
        handed_over = set()
        for line in self.history():
            place = line["worker"], line["shard"]
            if line["event"] == "handed over":
                handed_over.add(place)
            elif line["event"] == "lost" and place not in handed_over:
                torn.add(place)
            elif line["event"] == "began":
                handed_over.discard(place)
        return torn

    def first(self, event, shard):
        """When an event of a shard was first told, in ns."""
        return next(line["at"] for line in self.history() if (line["event"], line["shard"]) == (event, shard))

    def alive(self):
        return all(worker.process.running() for worker in self.workers if worker is not self.killed)


def initialised(moto, application):
    """Whether the first worker made the application's table and wrote the library's version there. Two that do so at the same
    moment are too much for the library: the second never recovers."""
    dynamodb = Server(url=moto).client("dynamodb")
    table = f"app-{application.retrieval}"
    if table not in dynamodb.list_tables()["TableNames"]:
        return False
    return any("3X" in item.get("cv", {}).get("S", "") for item in dynamodb.scan(TableName=table)["Items"])


class Run:
    """What is left of the run for the tests to look at."""

    def __init__(self, applications, rounds, shards):
        self.applications, self.rounds, self.shards = applications, rounds, shards


@pytest.fixture(scope="module")
def run(node, kinesis, moto, java):
    make_stream(kinesis, STREAM, 2)
    services = {"AWS_ENDPOINT_URL_KINESIS": node.url, "AWS_ENDPOINT_URL_DYNAMODB": moto, "AWS_ENDPOINT_URL_CLOUDWATCH": moto}

    def start(retrieval, name):
        return java("levada.conformance.kcl.Worker", STREAM, f"app-{retrieval}", name, retrieval, **services)

    applications = {retrieval: Application(retrieval, start) for retrieval in APPLICATIONS}
    for application in applications.values():
        application.add_worker()
    for application in applications.values():
        until(lambda: application.alive() and initialised(moto, application), "the first worker makes its table")
        application.add_worker()

    def all_begin(wanted, what):
        begun = lambda: all(one.alive() and wanted <= one.began() for one in applications.values())
        until(begun, what, LIBRARY_SECONDS)

    load = Load(kinesis, STREAM)
    load.start()
    lower, upper = sorted(shards(kinesis, STREAM))
    all_begin({lower, upper}, "both shards begin")
    middle = [shard["ShardId"] for shard in split_in_the_middle(kinesis, STREAM, lower)]
    all_begin(set(middle), "the children of the split begin")
    kinesis.merge_shards(StreamName=STREAM, ShardToMerge=middle[1], AdjacentShardToMerge=upper)
    for application in applications.values():
        application.kill_the_busier()
    active(kinesis, STREAM)
    merged = {shard["ShardId"] for shard in children(kinesis, STREAM, upper)}
    all_begin(merged, "the child of the merge begins")
    put = load.end()
    whole = lambda one: one.alive() and len({(key, number) for _, key, number in one.processed()}) >= len(put)
    until(lambda: all(whole(one) for one in applications.values()), "everything processed", LIBRARY_SECONDS)
    for application in applications.values():
        for worker in application.workers:
            if worker is not application.killed:
                worker.end()
    return Run(applications, load.rounds, shards(kinesis, STREAM))


@pytest.fixture(params=APPLICATIONS)
def application(run, request):
    return run.applications[request.param]


def test_every_record_is_processed(run, application):
    processed = {(key, number) for _, key, number in application.processed()}
    assert processed == {(key, number) for key in KEYS for number in range(1, run.rounds + 1)}


def test_records_of_a_key_are_processed_in_order(application):
    last = collections.Counter()
    for place, key, number in application.processed():
        assert number <= last[key] + 1, f"{place} processed {number} of {key} after {last[key]}"
        last[key] = max(last[key], number)


def test_only_what_was_torn_from_a_worker_is_repeated(application):
    first, torn = {}, application.torn_away()
    for place, key, number in application.processed():
        if (key, number) in first:
            before = first[key, number]
            assert before in torn, f"{place} repeats {number} of {key}, which {before} had processed"
        first[key, number] = place


def test_both_workers_took_part(application):
    assert {worker for (worker, _), _, _ in application.processed()} == {worker.name for worker in application.workers}


def test_children_begin_after_their_parents_end(run, application):
    families = 0
    for child, shard in run.shards.items():
        for parent in (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")):
            if parent:
                families += 1
                assert application.first("ended", parent) < application.first("began", child)
    assert families == 4, "two children of a split, one of a merge"
