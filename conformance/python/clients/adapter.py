"""Any program that speaks the adapter protocol (`conformance/README.md`): JSON lines on stdin and stdout."""

import base64
import datetime
import json
import pathlib
import queue
import shlex
import subprocess
import threading

from . import Client, ServiceError, UnknownToClient

ROOT = pathlib.Path(__file__).parents[3]
FIRST_ANSWER_SECONDS = 60
ANSWER_SECONDS = 30
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def to_json(value):
    """A member as it goes over the pipe."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return {"$ms": round((value - EPOCH) / datetime.timedelta(milliseconds=1))}
    if isinstance(value, dict):
        return {name: to_json(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(member) for member in value]
    return value


def from_json(value):
    """A member as it came over the pipe."""
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"], validate=True)
        if value.keys() == {"$ms"}:
            return EPOCH + datetime.timedelta(milliseconds=value["$ms"])
        return {name: from_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [from_json(member) for member in value]
    return value


class Adapter(Client):
    """Starts the program when it is first called, in the checkout's root."""

    def __init__(self, name, command, environment, results, service="kinesis"):
        super().__init__(results, service)
        self.name, self._command, self._environment = name, shlex.split(command), environment
        self._process, self._lines, self._id = None, queue.Queue(), 0

    def _start(self):
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._drain, args=(self._process.stdout, self._lines), daemon=True).start()

    @staticmethod
    def _drain(stdout, lines):
        for line in stdout:
            lines.put(line)
        lines.put(b"")

    def _ask(self, request, seconds):
        if self._process is None:
            self._start()
            seconds += FIRST_ANSWER_SECONDS - ANSWER_SECONDS
        self._id += 1
        line = json.dumps({"id": self._id, "service": self.service, **request}, ensure_ascii=False) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        try:
            answered = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise AssertionError(f"{self.name} did not answer {request['op']} within {seconds} s") from None
        if not answered:
            raise AssertionError(f"{self.name} ended with {self._process.wait()} instead of answering {request['op']}")
        answer = json.loads(answered)
        assert answer["id"] == self._id, f"{self.name} answered {answer['id']}, asked was {self._id}"
        if "unknown" in answer:
            raise UnknownToClient(answer["unknown"])
        if "error" in answer:
            error = answer["error"]
            raise ServiceError(error["code"], error["message"], error["status"])
        return from_json(answer["out"])

    def _call(self, operation, members):
        return self._ask({"op": operation, "in": to_json(members)}, ANSWER_SECONDS)

    def _subscribe(self, members, events, seconds):
        request = {"op": "SubscribeToShard", "in": to_json(members), "events": events, "seconds": seconds}
        return self._ask(request, ANSWER_SECONDS + seconds)

    def close(self):
        if self._process is None:
            return
        process, self._process = self._process, None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
