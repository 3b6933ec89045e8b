"""Requests of clients that cannot run here, byte for byte as their public sources show that they send them.

`conformance/fixtures/*.json`: the client, the sources, the request line and the headers that all its requests have (in the
client's order and spelling), which of them it signs, and the requests, which follow each other on one connection. The replay
fills in `{stream}`, `{arn}`, `{account}` and what an earlier answer said (`keep`), and adds what depends on them: Host,
Content-Length, the signature. A body that is an object is sent without spaces. Of an answer, `answer` holds what the client
cannot do without. `service`: `firehose`, or Kinesis; then `{stream}` is a delivery stream, and `{kinesis}` the ARN of a data
stream. `cases` instead of `requests`: several sequences, each on a connection and with a stream of its own.

`wait`: asked again until the member has the target's value (or, without one, until the resource is not found), and meanwhile
it may only have the pending ones. `state`: what Terraform reads into its state; `config`: what it compares with it, and
two reads in turn must be the same: anything else it would plan to change. A `state` that many requests share stands in
`states` and is named.
"""

import base64
import hashlib
import http.client
import json
import pathlib
import re
import socket
import time
import urllib.parse

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from deliveries import arn_of
from endpoint import ACCOUNT, ARN, REGION
from wire import CREDENTIALS, address

DIRECTORY = pathlib.Path(__file__).parents[1] / "fixtures"
LARGE = base64.b64encode(b"x" * 1_100_000).decode()
PATIENCE_SECONDS = 60


def sequences():
    """Each sequence of requests: the fixture's name, its case or None, and the fixture."""
    for path in sorted(DIRECTORY.glob("*.json")):
        fixture = json.loads(path.read_text(encoding="utf-8"))
        for case in fixture.get("cases", {None: None}):
            yield pytest.param(fixture, case, id="-".join(filter(None, [path.stem, case])))


class Replay:
    """One connection, and what the answers on it said."""

    def __init__(self, server, fixture, stream):
        self._url, self._fixture = address(server), fixture
        self._service = fixture.get("service", "kinesis")
        arn = arn_of(stream) if self._service == "firehose" else ARN + stream
        self.known = {"stream": stream, "arn": arn, "account": ACCOUNT}
        self._connection = None

    def _filled(self, text):
        text = text.replace("{1100000 bytes, base64}", LARGE)
        if "iterator" in self.known:
            text = text.replace("{iterator, slashes escaped}", self.known["iterator"].replace("/", "\\/"))
        for name, value in self.known.items():
            text = text.replace("{%s}" % name, value)
        return text

    def expected(self, value):
        """The same with everything filled in, inside of it too."""
        if isinstance(value, str):
            return self._filled(value)
        if isinstance(value, list):
            return [self.expected(one) for one in value]
        if isinstance(value, dict):
            return {name: self.expected(one) for name, one in value.items()}
        return value

    def _head(self, request, body):
        headers = {name: value for name, value in self._fixture["headers"] + request.get("headers", [])}
        spelled = {}
        for name, value in headers.items():
            value = value.replace("{operation}", request["operation"])
            spelled[name] = value.replace("{sha256}", hashlib.sha256(body).hexdigest())
        method, path, _ = self._fixture["line"].split(" ")
        unsigned = {name: value for name, value in spelled.items() if name.lower() in self._fixture["signed"].split()}
        if "content-length" in self._fixture["signed"].split():
            unsigned["Content-Length"] = str(len(body))
        signed = AWSRequest(method, self._url + path, data=body, headers=unsigned)
        SigV4Auth(CREDENTIALS, self._service, REGION).add_auth(signed)
        for name in ("X-Amz-Date", "X-Amz-Security-Token", "Authorization"):
            if name in signed.headers:
                spelled[name] = signed.headers[name]
        lines = [self._fixture["line"], f"Host: {urllib.parse.urlsplit(self._url).netloc}"]
        lines += [f"{name}: {value}" for name, value in spelled.items()] + [f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n", "100-continue" in spelled.get("Expect", "").lower()

    def send(self, request):
        """The status and the document, or "" for none."""
        body = request["body"]
        if isinstance(body, dict):
            body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        body = self._filled(body).encode()
        head, expects = self._head(request, body)
        if self._connection is None:
            url = urllib.parse.urlsplit(self._url)
            self._connection = socket.create_connection((url.hostname, url.port), timeout=30)
        self._connection.sendall(head if expects else head + body)
        if expects:
            interim = b""
            while not interim.endswith(b"\r\n\r\n"):
                interim += self._connection.recv(1)
            assert interim.startswith(b"HTTP/1.1 100 "), interim
            self._connection.sendall(body)
        answer = http.client.HTTPResponse(self._connection, method="POST")
        answer.begin()
        document = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, json.loads(document) if document else ""

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None


def member(document, path):
    """`StreamDescriptionSummary.EnhancedMonitoring.0.ShardLevelMetrics`; None if it is not there."""
    for step in path.split("."):
        if isinstance(document, list):
            document = document[int(step)] if int(step) < len(document) else None
        else:
            document = (document or {}).get(step)
    return document


def assert_holds(answer, expected, where="the answer"):
    """Objects may have more members than expected, lists no more elements; `$matches` is a regular expression."""
    if isinstance(expected, dict) and "$matches" in expected:
        assert re.fullmatch(expected["$matches"], json.dumps(answer).strip('"')), (where, answer)
    elif isinstance(expected, dict):
        assert isinstance(answer, dict), (where, answer)
        for name, value in expected.items():
            assert name in answer, (where, name, answer)
            assert_holds(answer[name], value, f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(answer) == len(expected), (where, answer)
        for n, value in enumerate(expected):
            assert_holds(answer[n], value, f"{where}[{n}]")
    else:
        assert answer == expected, (where, answer)


def wait(replay, request):
    rule = request["wait"]
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        status, answer = replay.send(request)
        if status == 400 and answer["__type"] == "ResourceNotFoundException":
            assert rule["target"] is None, answer
            return
        assert status == 200, answer
        value = member(answer, rule["member"])
        if value == rule["target"]:
            return
        assert value in rule["pending"], f"{request['operation']}: {value}"
        assert time.monotonic() < patience, f"{request['operation']}: still {value}"
        time.sleep(0.1)


def meant(policy):
    """A policy as Terraform compares it: lists have no order, and one of one element is the element."""
    if isinstance(policy, dict):
        return {name: meant(value) for name, value in policy.items()}
    if isinstance(policy, list):
        values = sorted((meant(value) for value in policy), key=json.dumps)
        return values[0] if len(values) == 1 else values
    return policy


def comparable(name, value):
    """Sets have no order, a policy is what it means, an empty text is none at all."""
    if name == "policy":
        return meant(json.loads(value))
    if name == "tags":
        return {tag["Key"]: tag["Value"] for tag in value}
    if name == "shard_level_metrics":
        return sorted(value or [])
    return value or None


@pytest.mark.ours("cleartext, and a key that does not exist")
@pytest.mark.parametrize(("fixture", "case"), list(sequences()))
def test_replay(server, stream, deliver, request, fixture, case):
    if fixture.get("makes_its_stream"):
        replay = Replay(server, fixture, f"fixture-{case or 'terraform'}")
    else:
        replay = Replay(server, fixture, deliver() if fixture.get("service") == "firehose" else stream(1))
    if case == "kinesis_source":
        replay.known["kinesis"] = ARN + stream(1)
    request.addfinalizer(replay.close)
    read = {}
    for number, one in enumerate(fixture["cases"][case] if case else fixture["requests"]):
        where = f"{number}: {one.get('about', one['operation'])}"
        if "wait" in one:
            wait(replay, one)
            continue
        status, answer = replay.send(one)
        assert status == one["status"], (where, answer)
        assert_holds(answer, replay.expected(one["answer"]), where)
        for kept, path in one.get("keep", {}).items():
            replay.known[kept] = member(answer, path)
        if "state" not in one:
            read.clear()
            continue
        paths = one["state"] if isinstance(one["state"], dict) else fixture["states"][one["state"]]
        state = {what: comparable(what, member(answer, path)) for what, path in paths.items()}
        wanted = {what: comparable(what, value) for what, value in replay.expected(one["config"]).items()}
        assert {what: state[what] for what in wanted} == wanted, f"{where}: it would plan a change"
        assert read.setdefault(frozenset(state), state) == state, f"{where}: drift between two reads"
