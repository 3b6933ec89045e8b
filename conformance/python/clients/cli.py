"""The AWS CLI (version 1), a process for each call."""

import base64
import datetime
import json
import re
import subprocess
import sys

import botocore.session
from botocore import xform_name

from . import Client, ServiceError, UnknownToClient

REFUSED = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation(?: \([^)]*\))?: (.*)", re.DOTALL)
SECONDS = 60


class Cli(Client):
    """Requests go in as `--cli-input-json`, where version 1 takes blobs as text: other bytes are unknown to it.

    It prints no HTTP status; a refusal counts as 400.
    """

    name = "cli"

    def __init__(self, environment, results, service="kinesis"):
        super().__init__(results, service)
        self._environment = environment
        self._model = botocore.session.get_session().get_service_model(service)

    def _call(self, operation, members):
        command = [sys.executable, "-m", "awscli", self.service, xform_name(operation, "-"), "--no-paginate"]
        command += ["--output", "json", "--cli-input-json", json.dumps(to_text(members))]
        ended = subprocess.run(command, env=self._environment, capture_output=True, timeout=SECONDS)
        if ended.returncode == 0:
            shape = self._model.operation_model(operation).output_shape
            return read(shape, json.loads(ended.stdout)) if ended.stdout.strip() else {}
        said = ended.stderr.decode().strip()
        refused = REFUSED.search(said)
        if refused:
            raise ServiceError(refused[1], refused[2], 400)
        if "Invalid choice" in said or "Unknown parameter" in said:
            raise UnknownToClient(said)
        raise ServiceError("ClientError", said, 0)

    def _subscribe(self, members, events, seconds):
        raise UnknownToClient("the AWS CLI has no subscribe-to-shard")


def to_text(value):
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise UnknownToClient("the AWS CLI takes text here") from None
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: to_text(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_text(member) for member in value]
    return value


def read(shape, value):
    """What the CLI printed, as boto3 would return it: it prints blobs as base64 and times as the service sent them."""
    if shape.type_name == "structure":
        return {name: read(shape.members[name], member) for name, member in value.items()}
    if shape.type_name == "list":
        return [read(shape.member, member) for member in value]
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "timestamp":
        if isinstance(value, str):
            return datetime.datetime.fromisoformat(value)
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value
