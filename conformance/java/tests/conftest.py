"""Fixtures for the Java applications: a node, moto for the services beside Kinesis, and JVMs. PYTHONPATH names ../python."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from server import ACCOUNT, REGION, Server

MOTO_SECONDS = 60
END_SECONDS = 40
# Four JVMs run at once, for a minute: small heaps, one collector thread each, and no second compiler.
JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def until(condition, what, seconds=90):
    """Waits for a true value and returns it."""
    patience = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < patience, f"{what}: not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def node(tmp_path_factory, request):
    """A node with the flags that the test module names in FLAGS, if any."""
    flags = getattr(request.module, "FLAGS", ())
    with Server(tmp_path_factory.mktemp("node") / "data", *flags) as running:
        yield running


@pytest.fixture(scope="module")
def kinesis(node):
    return node.client("kinesis", validate=True)


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """The URL of a moto server: DynamoDB and CloudWatch."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: answers(port), "moto answers", MOTO_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Java:
    """A main class of `conformance/java`, in a process of its own. Its stderr goes to a file."""

    def __init__(self, built, errors, main, arguments, environment, flags=()):
        module = main.split(".")[2]
        java = pathlib.Path(os.environ["JAVA_HOME"]) / "bin" / "java" if "JAVA_HOME" in os.environ else "java"
        path = os.pathsep.join([str(built / module / "classes"), str(built / module / "lib" / "*")])
        self.errors = errors
        identity = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "secret"}
        with errors.open("w") as stderr:
            self.process = subprocess.Popen(
                [java, *JVM, *flags, "-cp", path, main, *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                env={**os.environ, **identity, **environment},
            )

    def running(self):
        """True, or what it said before it ended."""
        assert self.process.poll() is None, f"{self.errors} ended:\n{self.errors.read_text()[-4000:]}"
        return True

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Asks it to end and waits for that."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(END_SECONDS)


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """Starts main classes; what still runs at the end is killed."""
    built = os.environ.get("LEVADA_JAVA")
    if not built:
        pytest.skip("LEVADA_JAVA does not name the built classes (cargo xtask test builds them)")
    assert shutil.which("java") or "JAVA_HOME" in os.environ
    directory = tmp_path_factory.mktemp("java")
    started = []

    def start(main, *arguments, flags=(), **environment):
        errors = directory / f"{len(started)}.err"
        started.append(Java(pathlib.Path(built), errors, main, arguments, environment, flags))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


def make_stream(kinesis, name, shards):
    """Creates a stream, waits until it is ACTIVE and returns its ARN."""
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    return active(kinesis, name)


def active(kinesis, name):
    """Waits until a stream is ACTIVE and returns its ARN."""

    def arn():
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return summary["StreamStatus"] == "ACTIVE" and summary["StreamARN"]

    return until(arn, f"{name} ACTIVE")


def shards(kinesis, name):
    """All shards of a stream by their id."""
    return {shard["ShardId"]: shard for shard in kinesis.list_shards(StreamName=name)["Shards"]}


def split_in_the_middle(kinesis, stream, shard_id):
    """Splits a shard at the middle of its range, waits, and returns the children, the lower one first."""
    span = shards(kinesis, stream)[shard_id]["HashKeyRange"]
    low, high = int(span["StartingHashKey"]), int(span["EndingHashKey"])
    kinesis.split_shard(StreamName=stream, ShardToSplit=shard_id, NewStartingHashKey=str((low + high) // 2 + 1))
    active(kinesis, stream)
    return sorted(children(kinesis, stream, shard_id), key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))


def children(kinesis, stream, shard_id):
    """The shards whose parent, or adjacent parent, a shard is."""
    parents = ("ParentShardId", "AdjacentParentShardId")
    return [shard for shard in shards(kinesis, stream).values() if shard_id in [shard.get(one) for one in parents]]
