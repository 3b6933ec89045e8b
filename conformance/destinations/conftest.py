"""Fixtures: the servers, a node whose configuration names them, and the AWS CLI that creates delivery streams there.
PYTHONPATH names ../python."""

import json
import subprocess
import sys

import pytest

import endpoint
from clients.boto import Boto
from deliveries import Maker
from endpoint import ACCOUNT, REGION
from results import Results
from server import Server
from servers import Function, OpenSearch, Receivers, Store

# What delivery streams are told, and AWS's rules allow. The configuration maps it to loopback.
RECEIVER = "https://receiver.example/firehose"
SECURE = "https://secure.example/firehose"
SPLUNK = "https://splunk.example:8088"
SEARCH = "https://search.example"
DOMAIN = f"arn:aws:es:{REGION}:{ACCOUNT}:domain/records"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
STORE_BUCKETS = ("store",)

CONFIGURATION = """
[endpoints]
"{receiver}" = "{firehose}"
"{secure}" = "{secure_here}"
"{hec}" = "{splunk}"
"{url}" = "{opensearch}"
"{domain}" = "{opensearch}"

[tls]
extra_ca = "{authority}"

[buckets."store"]
endpoint = "{store}"
region = "us-east-1"
access_key_id = "key"
secret_access_key = "secret"

[lambda."{function}upper"]
url = "{invoke}"

[lambda."{function}raises"]
url = "{invoke}"

[lambda."{function}command"]
command = ["{python}", "-c", {command}]
"""

# A function as a local command: the event on stdin, the reply on stdout.
COMMAND = """
import base64, json, sys
records = json.load(sys.stdin)["records"]
turned = lambda data: base64.b64encode(base64.b64decode(data)[::-1]).decode()
json.dump({"records": [{"recordId": r["recordId"], "result": "Ok", "data": turned(r["data"])} for r in records]}, sys.stdout)
"""


def pytest_configure(config):
    config.addinivalue_line("markers", "fact(id, ...): the facts of facts.toml that the test holds")


def closing(made):
    yield made
    made.close()


@pytest.fixture(scope="session")
def receivers(tmp_path_factory):
    yield from closing(Receivers(tmp_path_factory.mktemp("receivers")))


@pytest.fixture(scope="session")
def search(tmp_path_factory):
    yield from closing(OpenSearch(tmp_path_factory.mktemp("opensearch")))


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("store") / "errors")
    for bucket in STORE_BUCKETS:
        made.client.create_bucket(Bucket=bucket)
    yield from closing(made)


@pytest.fixture(scope="session")
def functions():
    yield from closing(Function())


@pytest.fixture(scope="session")
def node(tmp_path_factory, receivers, search, store, functions):
    directory = tmp_path_factory.mktemp("node")
    configuration = directory / "levada.toml"
    configuration.write_text(CONFIGURATION.format(
        receiver=RECEIVER, firehose=receivers.firehose, secure=SECURE, secure_here=receivers.secure,
        authority=receivers.authority, hec=SPLUNK, splunk=receivers.splunk, url=SEARCH, domain=DOMAIN,
        opensearch=search.url, store=store.url, function=FUNCTION, invoke=functions.url, python=sys.executable,
        command=json.dumps(COMMAND),
    ))
    with Server(directory / "data", "--config", str(configuration), "--test-controls") as running:
        yield running


@pytest.fixture(scope="session")
def send(node):
    """boto3 for Firehose in the suite's form."""
    return Boto(node.client("firehose"), Results(None))


@pytest.fixture
def deliver(send, request):
    """Makes delivery streams named after the test, ACTIVE, and deletes them."""
    maker = Maker(request.node.name, send)
    yield maker
    maker.delete()


@pytest.fixture(scope="session")
def aws(node, tmp_path_factory):
    """The AWS CLI: `aws("firehose", "put-record", …)`; what it printed."""
    environment = endpoint.environment(node.url) | {"HOME": str(tmp_path_factory.mktemp("home"))}

    def run(*arguments):
        words = [json.dumps(word) if isinstance(word, (dict, list)) else word for word in arguments]
        ended = subprocess.run([sys.executable, "-m", "awscli", *words], env=environment, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if ended.stdout.strip() else None

    return run


@pytest.fixture
def bucket(node, request):
    """A bucket that is a directory: its name, and a function that reads its objects, {key: bytes}."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:50].strip("-")
    directory = node.data_dir / "buckets" / name

    def objects(prefix=""):
        files = [path for path in directory.rglob("*") if path.is_file() and ".%tmp" not in path.parts]
        keys = {str(path.relative_to(directory)): path for path in files}
        return {key: path.read_bytes() for key, path in sorted(keys.items()) if key.startswith(prefix)}

    return name, objects
