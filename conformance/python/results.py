"""What was seen of each operation through each client: one JSON line for each different sight, in LEVADA_RESULTS."""

import json
import os


class Results:
    """Writes a line when something is seen for the first time."""

    def __init__(self, path=os.environ.get("LEVADA_RESULTS")):
        """`None`: nothing is kept."""
        self._file = open(path, "w", encoding="utf-8") if path else None
        self._seen = set()

    def add(self, client, service, operation, outcome):
        """`outcome`: "OK", an error's code, or "unknown"."""
        sight = (client, service, operation, outcome)
        if sight in self._seen or self._file is None:
            return
        self._seen.add(sight)
        line = {"client": client, "service": service, "operation": operation, "outcome": outcome}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
