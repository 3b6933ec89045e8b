"""A `levada serve` process, and clients for it."""

import os
import pathlib
import queue
import signal
import subprocess
import threading

import boto3
import httpx
from botocore.config import Config

from endpoint import ACCOUNT, AWS, REGION

START_SECONDS = 60


def binary() -> str:
    """The binary under test: LEVADA_BIN, or what `cargo build` left in the checkout."""
    built = pathlib.Path(__file__).parents[2] / "target" / "debug" / "levada"
    return os.environ.get("LEVADA_BIN", str(built))


class Server:
    """Starts on a free loopback port; a context manager that ends it. With a `url`, somebody else's endpoint."""

    def __init__(self, data_dir=None, *flags, url=None):
        self.data_dir, self.flags, self.url, self.process = data_dir, flags, url, None

    def __enter__(self):
        if self.url:
            return self
        command = [binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir", str(self.data_dir), *self.flags]
        environment = {"LEVADA_LOG": "warn", **os.environ}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        lines = queue.Queue()
        threading.Thread(target=self._drain, args=(lines,), daemon=True).start()
        try:
            line = lines.get(timeout=START_SECONDS).rstrip("\n")
        except queue.Empty:
            line = ""
        if not line.startswith("levada ready http://"):
            self.process.kill()
            raise RuntimeError(f"levada serve did not become ready: {line!r}, exit {self.process.wait()}")
        self.url = line.removeprefix("levada ready ")
        return self

    def _drain(self, lines):
        for line in self.process.stdout:
            lines.put(line)
        lines.put("")

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def client(self, service, account=ACCOUNT, validate=False, region=REGION):
        """A boto3 client: no retries, and (unless asked) nothing refused before it is sent."""
        config = Config(
            parameter_validation=validate,
            retries={"total_max_attempts": 1},
            read_timeout=120,
            max_pool_connections=20,
        )
        if AWS:
            return boto3.client(service, region_name=region, config=config)
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="secret",
            config=config,
        )

    def advance(self, seconds):
        """Moves the clock of a node that was started with --test-controls."""
        answer = httpx.post(f"{self.url}/_levada/clock", json={"advance_ms": round(seconds * 1000)}, timeout=60)
        assert answer.status_code == 200, answer.text
