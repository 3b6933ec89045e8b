"""SubscribeToShard by hand: the frames of an event stream as they come, with their times."""

import json
import struct
import threading
import time
import zlib

import httpx

from clients import ServiceError
from wire import JSON, KINESIS, address, signed


class Frame:
    """One frame; `at` is when it came, in seconds of `time.monotonic`."""

    def __init__(self, raw, at):
        total, length, prelude = struct.unpack(">III", raw[:12])
        assert total == len(raw) and prelude == zlib.crc32(raw[:8])
        assert struct.unpack(">I", raw[-4:])[0] == zlib.crc32(raw[:-4])
        self.size, self.at, self.payload = total, at, raw[12 + length : -4]
        self.headers, position = [], 12
        while position < 12 + length:
            name, position = self._text(raw, position, 1)
            assert raw[position] == 7, "a string"
            value, position = self._text(raw, position + 1, 2)
            self.headers.append((name, value))

    @staticmethod
    def _text(raw, at, width):
        size = int.from_bytes(raw[at : at + width], "big")
        return raw[at + width : at + width + size].decode(), at + width + size

    def event(self):
        return json.loads(self.payload)


class Subscription:
    """Reads frames in a thread from the call on. A refusal is raised by the constructor."""

    def __init__(self, server, body, content_type=JSON):
        self.frames, self.ended_at, self.failure, self.response = [], None, None, None
        self.began = time.monotonic()
        self._client = httpx.Client(timeout=httpx.Timeout(30))
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = signed(server, KINESIS + "SubscribeToShard", body, content_type)
        request = self._client.build_request("POST", address(server), content=body, headers=headers)
        self.response = self._client.send(request, stream=True)
        if self.response.status_code != 200:
            answer = json.loads(self.response.read())
            self.close()
            raise ServiceError(answer["__type"], answer.get("message", ""), self.response.status_code)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        buffer = b""
        try:
            for chunk in self.response.iter_raw():
                buffer += chunk
                while len(buffer) >= 4 and len(buffer) >= int.from_bytes(buffer[:4], "big"):
                    size = int.from_bytes(buffer[:4], "big")
                    self.frames.append(Frame(buffer[:size], time.monotonic()))
                    buffer = buffer[size:]
            assert not buffer, "the stream ended inside a frame"
        except Exception as error:
            self.failure = error
        self.ended_at = time.monotonic()

    def events(self):
        """What came since, without the initial response."""
        return [frame for frame in list(self.frames) if (":event-type", "SubscribeToShardEvent") in frame.headers]

    def close(self):
        self.response.close()
        self._client.close()
