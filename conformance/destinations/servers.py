"""Real servers for the destinations, each on free loopback ports: an S3-compatible store, the OpenTelemetry collector's
receivers, an OpenSearch node, and a function that speaks Lambda's Invoke API."""

import base64
import datetime
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.parse

import boto3
import httpx
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from endpoint import REGION
from tools import until

# A small JVM that starts quickly: one collector thread, no second compiler.
JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
START_SECONDS = 180
ACCESS_KEY = "an access key"


def free_ports(number):
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Program:
    """A program that prints `ready` when it serves, and ends when its stdin does. Other lines of stdout are kept."""

    def __init__(self, command, errors):
        self.lines, self._ready, self.errors = [], threading.Event(), errors
        with errors.open("w") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        threading.Thread(target=self._drain, daemon=True).start()
        try:
            until(lambda: self._ready.is_set() or self._process.poll() is not None, f"{command[0]} ready", START_SECONDS)
            assert self._ready.is_set(), f"{command[0]} ended: {errors.read_text()[-4000:]}"
        except AssertionError:
            self._process.kill()
            raise

    def _drain(self):
        for line in self._process.stdout:
            if line == "ready\n":
                self._ready.set()
            elif line.startswith("{"):
                self.lines.append(json.loads(line))

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Receivers:
    """The collector's receivers of Firehose's requests and of Splunk's event collector."""

    def __init__(self, directory):
        firehose, splunk, secure = free_ports(3)
        self.authority, certificate, key = certificates(directory)
        command = [os.environ["LEVADA_RECEIVERS"], str(firehose), str(splunk), str(secure), str(certificate), str(key)]
        self._program = Program(command, directory / "errors")
        self.firehose, self.splunk = f"http://127.0.0.1:{firehose}", f"http://127.0.0.1:{splunk}"
        self.secure = f"https://localhost:{secure}"

    def taken(self, receiver, mark):
        """The bodies of the records of one receiver whose resource or body has the mark, as bytes, in order."""
        return [body(line) for line in self.lines(receiver) if mark in str(line["resource"]) or mark.encode() in body(line)]

    def lines(self, receiver):
        return [line for line in self._program.lines if line["receiver"] == receiver]

    def close(self):
        self._program.close()


def certificates(directory):
    """A new authority, and a certificate of it for localhost: the files of the authority, the certificate and its key."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def made(name, key, issuer, issuer_key, *extensions):
        builder = x509.CertificateBuilder(
            issuer, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), key.public_key(),
            x509.random_serial_number(), now - datetime.timedelta(hours=1), now + datetime.timedelta(days=1),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    root = made("an authority", root_key, root_name, root_key, x509.BasicConstraints(ca=True, path_length=0))
    server = made("localhost", key, root_name, root_key, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    pem = serialization.Encoding.PEM
    files = {
        "authority.pem": root.public_bytes(pem),
        "server.pem": server.public_bytes(pem),
        "key.pem": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in files]


def body(line):
    """The record's body: text, or bytes in base64 from the receiver of Firehose's requests."""
    value = line["body"]
    if line["receiver"].startswith("firehose"):
        return base64.b64decode(value or "")  # null is an empty record
    return (value if isinstance(value, str) else json.dumps(value)).encode()


class OpenSearch:
    """One node of OpenSearch."""

    def __init__(self, directory):
        http_port, transport = free_ports(2)
        built = pathlib.Path(os.environ["LEVADA_JAVA"]) / "opensearch"
        path = os.pathsep.join([str(built / "classes"), str(built / "lib" / "*")])
        main = "levada.conformance.opensearch.Node"
        command = ["java", *JVM, "-cp", path, main, str(directory / "node"), str(http_port), str(transport)]
        self._program = Program(command, directory / "errors")
        self.url = f"http://127.0.0.1:{http_port}"

    def documents(self, index):
        """The documents of an index (or of a pattern of indexes) by id, and the names of its indexes."""
        httpx.post(f"{self.url}/{index}/_refresh", timeout=60)
        found = httpx.get(f"{self.url}/{index}/_search", params={"size": 10_000}, timeout=60)
        if found.status_code != 200:  # not there, or not yet
            return {}, set()
        hits = found.json()["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}, {hit["_index"] for hit in hits}

    def put(self, path, document):
        answer = httpx.put(f"{self.url}/{path}", json=document, timeout=60)
        assert answer.status_code in (200, 201), answer.text

    def close(self):
        self._program.close()


class Store:
    """moto's S3."""

    def __init__(self, errors):
        (port,) = free_ports(1)
        with errors.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
            )
        self.url = f"http://127.0.0.1:{port}"
        self.client = boto3.client(
            "s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id="key", aws_secret_access_key="secret",
            config=Config(s3={"addressing_style": "path"}),
        )
        until(self._answers, "moto answers", START_SECONDS)

    def _answers(self):
        try:
            return self.client.list_buckets() is not None
        except Exception:
            return False

    def objects(self, bucket, prefix=""):
        """Keys and contents, in the order of the keys."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", []):
                found[one["Key"]] = self.client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        return found

    def close(self):
        self._process.kill()
        self._process.wait()


class Function:
    """A server of Lambda's Invoke API: POST /2015-03-31/functions/NAME/invocations, for Python functions."""

    def __init__(self):
        self.functions, self.events = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = urllib.parse.unquote(self.path.split("/functions/")[1].split("/invocations")[0])
                outer.events.append((name, event))
                name = name.split(":function:")[-1].split(":")[0]
                try:
                    answer, failed = outer.functions[name](event), False
                except Exception as error:  # as the runtime answers for a handler that raised
                    answer, failed = {"errorMessage": str(error), "errorType": type(error).__name__}, True
                document = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(document)))
                if failed:
                    self.send_header("X-Amz-Function-Error", "Unhandled")
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
