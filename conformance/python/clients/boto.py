"""boto3, in this process."""

import queue
import threading
import time

from botocore.exceptions import ClientError, EventStreamError, ParamValidationError

from . import Client, ServiceError, UnknownToClient


class Boto(Client):
    """Given a boto3 client. With its checks on, as people use it, it refuses some requests itself (status 0)."""

    name = "boto3"

    def __init__(self, boto, results):
        super().__init__(results, boto.meta.service_model.service_name)
        self._boto = boto
        self._methods = {operation: method for method, operation in boto.meta.method_to_api_mapping.items()}

    def _call(self, operation, members):
        if operation not in self._methods:
            raise UnknownToClient(f"boto3 has no {operation}")
        try:
            answer = getattr(self._boto, self._methods[operation])(**members)
        except ClientError as error:
            raise refusal(error) from None
        except ParamValidationError as error:
            if "Unknown parameter" in str(error):
                raise UnknownToClient(str(error)) from None
            raise ServiceError("ClientError", str(error), 0) from None
        answer.pop("ResponseMetadata")
        return answer

    def _subscribe(self, members, events, seconds):
        stream = self._call("SubscribeToShard", members)["EventStream"]
        arrived, enough = queue.Queue(), threading.Event()
        threading.Thread(target=drain, args=(stream, arrived, enough), daemon=True).start()
        out = {"events": [], "ended": False}
        end = time.monotonic() + seconds
        while len(out["events"]) < events:
            try:
                event = arrived.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(event, dict):
                out["events"].append(event)
                continue
            out["ended"] = True
            if event is not None:
                out["error"] = {"code": event.code, "message": event.message}
            break
        enough.set()
        return out


def drain(stream, arrived, enough):
    """Passes on events; at the end None, or what the stream failed with.

    Only this thread may close the stream: another would wait for it to stop reading.
    """
    try:
        for event in stream:
            if "SubscribeToShardEvent" in event:
                arrived.put(event["SubscribeToShardEvent"])
            if enough.is_set():
                break
        stream.close()
        arrived.put(None)
    except EventStreamError as error:
        arrived.put(refusal(error))
    except Exception as error:  # broken off by the other end
        arrived.put(ServiceError("ClientError", repr(error), 0))


def refusal(error):
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
    return ServiceError(answer["Error"]["Code"], answer["Error"].get("Message", ""), status)
