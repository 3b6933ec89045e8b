"""Fixtures: nodes, clients for them, streams; and which tests run where (`conformance/README.md`)."""

import os
import pathlib

import pytest

import endpoint
from clients.adapter import Adapter
from clients.boto import Boto
from clients.cli import Cli
from deliveries import Maker
from results import Results
from server import Server
from tools import until

RESULTS = Results()


def selected():
    """The clients that tests with the fixture `client` run through: name -> what makes one for (server, account, service)."""
    built_in = {"boto3": make_boto, "cli": make_cli}
    wanted = os.environ.get("LEVADA_CLIENTS", ",".join(built_in))
    makers = {name: built_in[name] for name in wanted.split(",") if name}
    for adapter in os.environ.get("LEVADA_ADAPTERS", "").split(";"):
        if adapter.strip():
            name, command = adapter.strip().split("=", 1)
            makers[name] = adapter_maker(name, command)
    return makers


def make_boto(server, account, service):
    return Boto(server.client(service, account=account, validate=True), RESULTS)


def make_cli(server, account, service):
    return Cli(endpoint.environment(server.url, account), RESULTS, service)


def adapter_maker(name, command):
    environment = endpoint.environment
    return lambda server, account, service: Adapter(name, command, environment(server.url, account), RESULTS, service)


MAKERS = selected()
# SDKs of Kinesis's first years: they run the tests that ask for no more than there was.
OLD = ("ruby",)


def pytest_configure(config):
    for marker in (
        "fact(id, ...): the facts of facts.toml that the test holds",
        "ours(why): needs a node of the suite's own",
        "every_client: short enough for a client that starts a process for each call",
        "since_2015: an SDK of Kinesis's first years has all that it needs",
    ):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(config, items):
    kept = [item for item in items if belongs(item)]
    dropped = [item for item in items if not belongs(item)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def belongs(item):
    """Not part of the run: what needs our own node at another endpoint, long tests through the CLI, boto3's without boto3."""
    if endpoint.URL and item.get_closest_marker("ours"):
        return False
    fixture = next((name for name in ("client", "firehose_client") if name in item.fixturenames), None)
    if fixture is None:
        return "boto3" in MAKERS
    client = item.callspec.params[fixture]
    if fixture == "firehose_client" and client in OLD:
        return False
    if item.get_closest_marker("every_client"):
        return True
    return client != "cli" and (client not in OLD or item.get_closest_marker("since_2015") is not None)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The node of the short tests, with nothing but defaults, or the endpoint that is named."""
    with Server(tmp_path_factory.mktemp("node") / "data", url=endpoint.URL) as running:
        yield running


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """Nodes with flags, one for each set of them; `node("--limits", "strict")`. Tests that use it are marked `ours`."""
    running = {}

    def start(*flags):
        if flags not in running:
            running[flags] = Server(tmp_path_factory.mktemp("node") / "data", *flags)
            running[flags].__enter__()
        return running[flags]

    yield start
    for one in running.values():
        one.__exit__(None, None, None)


@pytest.fixture(scope="session")
def kinesis(server):
    """boto3 with its own checks off: it sends what it is given."""
    return server.client("kinesis")


@pytest.fixture(scope="session")
def firehose(server):
    return server.client("firehose")


@pytest.fixture(scope="session")
def send(server, boto_at):
    """The same client in the suite's form: `send("PutRecord", StreamName=…)`; it leaves nothing in the results."""
    return boto_at(server)


@pytest.fixture(scope="session")
def boto_at():
    """`boto_at(server)`: the same at another node or for another account."""
    return lambda server, account=endpoint.ACCOUNT: Boto(server.client("kinesis", account=account), Results(None))


@pytest.fixture(scope="session")
def clients_at():
    """`clients_at(name, server)`: the client of that name at another node, or of another service."""
    made = {}

    def make(name, server, account=endpoint.ACCOUNT, service="kinesis"):
        one = (name, server.url, account, service)
        if one not in made:
            made[one] = MAKERS[name](server, account, service)
        return made[one]

    yield make
    for client in made.values():
        client.close()


@pytest.fixture(scope="session", params=list(MAKERS))
def client(request, server, clients_at):
    """Each of the selected clients in turn."""
    return clients_at(request.param, server)


@pytest.fixture(scope="session", params=list(MAKERS))
def firehose_client(request, server, clients_at):
    """The same of Firehose."""
    return clients_at(request.param, server, service="firehose")


@pytest.fixture(scope="session")
def flights():
    """All 336,776 flights, as the lines of the file without the header, line ends included."""
    path = os.environ.get("LEVADA_FLIGHTS")
    if not path:
        pytest.skip("LEVADA_FLIGHTS does not name flights.csv (cargo xtask test fetches it)")
    lines = pathlib.Path(path).read_bytes().splitlines(keepends=True)[1:]
    assert len(lines) == 336_776
    return lines


@pytest.fixture
def stream(send, request):
    """Makes streams named after the test, ACTIVE, and deletes them: `stream(2)`, `stream(suffix="-b")`."""
    maker = StreamMaker(request.node.name, send)
    yield maker
    maker.delete()


class StreamMaker:
    def __init__(self, test, send):
        self._base = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in test)[:90]
        self._send, self._made = send, []

    def __call__(self, shards=1, suffix="", send=None, server=None, **members):
        """`shards=None`: on demand. `send`: where, if not at the common node. `server`: its clock is moved, to save waiting."""
        send = send or self._send
        name = self._base + suffix
        if shards is None:
            members["StreamModeDetails"] = {"StreamMode": "ON_DEMAND"}
        else:
            members["ShardCount"] = shards
        send("CreateStream", StreamName=name, **members)
        self._made.append((send, name))
        if server:
            server.advance(6)
        active(send, name)
        return name

    def delete(self):
        for send, name in self._made:
            try:
                send("DeleteStream", StreamName=name, EnforceConsumerDeletion=True)
            except Exception as error:
                if getattr(error, "code", None) not in ("ResourceNotFoundException", "ResourceInUseException"):
                    raise


def active(send, name):
    summary = lambda: send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
    until(lambda: summary()["StreamStatus"] == "ACTIVE", f"{name} ACTIVE")


@pytest.fixture(scope="session")
def send_firehose(server):
    """boto3 for Firehose in the suite's form, without its checks; it leaves nothing in the results."""
    return Boto(server.client("firehose"), Results(None))


@pytest.fixture(scope="session")
def boto_firehose_at():
    """`boto_firehose_at(server)`: the same at another node."""
    return lambda server: Boto(server.client("firehose"), Results(None))


@pytest.fixture
def deliver(send_firehose, request):
    """Makes delivery streams named after the test, ACTIVE, and deletes them: `deliver(s3(Prefix="p/"))`."""
    maker = Maker(request.node.name, send_firehose)
    yield maker
    maker.delete()


@pytest.fixture
def delivery(firehose, request):
    """Makes delivery streams named after the test, ACTIVE, and deletes them."""
    made = []

    def make(client=firehose, **configuration):
        name = request.node.name.replace("[", "-").rstrip("]")[:60]
        configuration.setdefault("RoleARN", "arn:aws:iam::000000000000:role/levada")
        configuration.setdefault("BucketARN", "arn:aws:s3:::bucket")
        client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=configuration)
        made.append((client, name))
        describe = lambda: client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        until(lambda: describe()["DeliveryStreamStatus"] == "ACTIVE", f"{name} ACTIVE")
        return name

    yield make
    for client, name in made:
        try:
            client.delete_delivery_stream(DeliveryStreamName=name)
        except client.exceptions.ResourceNotFoundException:
            pass
        except Exception as error:  # the server of this client has ended already
            if "EndpointConnectionError" not in type(error).__name__:
                raise
