"""docs/FIREHOSE.md, block by block, as a reader would run it.

A fence `sh` is run by one shell, in order; `sh server` is started and left running when its first line with `ready` has come;
a fence with a file's name (`toml levada.toml`) is written to that file. The page's addresses are those of the test's servers.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import pytest

from servers import free_ports
from tools import until

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "FIREHOSE.md"
FENCE = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 300


@pytest.fixture
def place(tmp_path, receivers, search, store):
    """The directory that the page is read in, its environment, and the page's addresses here."""
    node, receiver = free_ports(2)
    addresses = {
        "127.0.0.1:4567": f"127.0.0.1:{node}",
        "127.0.0.1:8080": f"127.0.0.1:{receiver}",
        "127.0.0.1:8088": receivers.splunk.removeprefix("http://"),
        "127.0.0.1:9200": search.url.removeprefix("http://"),
        "127.0.0.1:9000": store.url.removeprefix("http://"),
    }
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "levada").symlink_to(os.environ["LEVADA_BIN"])
    for name, command in (("aws", [sys.executable, "-m", "awscli"]), ("python3", [sys.executable])):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (programs / name).chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEVADA_"))}
    environment = inherited | {
        "HOME": str(tmp_path), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true",
        "LEVADA_LISTEN": addresses["127.0.0.1:4567"], "LEVADA_LOG": "warn",
    }
    return tmp_path, environment, addresses


def blocks(addresses):
    """(language, name or "", text) of each fence."""
    text = PAGE.read_text(encoding="utf-8")
    for address, here in addresses.items():
        text = text.replace(address, here)
    return [(language, name or "", body) for language, name, body in FENCE.findall(text)]


class Shell:
    """One bash that runs block after block, each to its end."""

    def __init__(self, directory, environment):
        self._directory, self._environment, self._servers = directory, environment, []
        self._state = directory / "state.sh"
        self._state.write_text("")

    def run(self, text):
        """Fails with what the block said. Variables and functions are kept for the next one."""
        script = f"source {self._state}\nset -euo pipefail\n{text}\nset +eu\n(export -p; declare -p role; declare -f) > {self._state} 2>/dev/null\ntrue\n"
        ended = subprocess.run(
            ["bash", "-c", script], cwd=self._directory, env=self._environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert ended.returncode == 0, f"{text}\nended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def serve(self, text):
        out = self._directory / f"server-{len(self._servers)}"
        with out.open("w") as stdout:
            self._servers.append(subprocess.Popen(
                ["bash", "-c", f"exec {text}"], cwd=self._directory, env=self._environment, stdout=stdout, stderr=stdout
            ))
        until(lambda: "ready" in out.read_text() or self._servers[-1].poll() is not None, f"{text.strip()} ready")
        assert self._servers[-1].poll() is None, out.read_text()

    def close(self):
        for server in reversed(self._servers):
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def test_the_page(place, receivers, store):
    directory, environment, addresses = place
    shell = Shell(directory, environment)
    said = {}
    store.client.create_bucket(Bucket="archive")
    try:
        for language, name, text in blocks(addresses):
            if language == "sh" and name == "server":
                shell.serve(text)
            elif language == "sh":
                assert not name, name
                said[text] = shell.run(text)
            else:
                (directory / name).write_text(text)
        # Splunk's block ends with the put: what the page cannot show is looked up here.
        until(lambda: receivers.taken("splunk", "an event for Splunk"), "the collector has the event")
    finally:
        shell.close()
    outputs = "".join(said.values())
    for wanted in ("hello\n", "compressed\n", "archive-1-", "SHOUT\n", '{"country":"pt","n":1}\n{"country":"pt","n":3}', "by request", "/levada"):
        assert wanted in outputs, wanted
