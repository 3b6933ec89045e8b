"""The clients that the suite calls through. Every one turns the same Python values into its own SDK's call.

A client is called as `client("PutRecord", StreamName="x", PartitionKey="k", Data=b"…")`: members have the model's names,
bytes are `bytes`, times are aware `datetime`s. It returns the answer's members as a dict, or raises `ServiceError`, or
`UnknownToClient` if the client has no such operation or member.
"""

import time

THROTTLES = ("ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException")
PATIENCE_SECONDS = 30


class ServiceError(Exception):
    """The service refused. `status` is the HTTP status; 0 if the client refused before it sent anything."""

    def __init__(self, code, message, status):
        super().__init__(f"{code} ({status}): {message}")
        self.code, self.message, self.status = code, message, status


class UnknownToClient(Exception):
    """The client does not have the operation, or a member of the request."""


class Client:
    """One SDK's client of one service at one endpoint. Subclasses have `name`, `_call` and `_subscribe`."""

    name = ""

    def __init__(self, results, service="kinesis"):
        self._results, self.service = results, service

    def __call__(self, operation, **members):
        """Calls, and waits and calls again while the answer is that the rate is exceeded: the suite shares its shards."""
        patience = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.once(operation, **members)
            except ServiceError as error:
                throttled = error.code in THROTTLES and error.message.startswith("Rate exceeded")
                if not throttled or time.monotonic() > patience:
                    raise
            time.sleep(0.2)

    def once(self, operation, **members):
        """Calls once, whatever the answer."""
        return self._seen(operation, lambda: self._call(operation, members))

    def subscribe(self, events, seconds, **members):
        """SubscribeToShard: reads until there are `events`, or `seconds` are over, or the stream ends.

        Returns `{"events": […], "ended": bool}` and, if the stream failed after it began, `"error": {"code", "message"}`.
        """
        return self._seen("SubscribeToShard", lambda: self._subscribe(members, events, seconds))

    def _seen(self, operation, call):
        try:
            out = call()
        except ServiceError as error:
            if error.status:
                self._results.add(self.name, self.service, operation, error.code)
            raise
        except UnknownToClient:
            self._results.add(self.name, self.service, operation, "unknown")
            raise
        self._results.add(self.name, self.service, operation, "OK")
        return out

    def _call(self, operation, members):
        raise NotImplementedError

    def _subscribe(self, members, events, seconds):
        raise NotImplementedError

    def close(self):
        """Ends what belongs to the client."""
