"""Numbered records, put one round after the other."""

import threading
import time

KEYS = [f"key-{n}" for n in range(16)]
BETWEEN_ROUNDS = 0.05


class Load(threading.Thread):
    """Puts rounds of one record for each key, numbered from 1; its data is `KEY NUMBER`. A record that the service did not take
    is put again before the next round, so that each key's records are in the order of their numbers."""

    def __init__(self, kinesis, stream):
        super().__init__(daemon=True)
        self.kinesis, self.stream = kinesis, stream
        self.rounds, self.failure = 0, None
        self._enough = threading.Event()

    def run(self):
        try:
            while not self._enough.wait(BETWEEN_ROUNDS):
                self._put(self.rounds + 1)
                self.rounds += 1
        except Exception as failure:
            self.failure = failure

    def _put(self, number):
        entries = [{"PartitionKey": key, "Data": f"{key} {number}".encode()} for key in KEYS]
        while entries:
            answers = self.kinesis.put_records(StreamName=self.stream, Records=entries)["Records"]
            entries = [entry for entry, answer in zip(entries, answers, strict=True) if "ErrorCode" in answer]
            if entries:
                time.sleep(BETWEEN_ROUNDS)

    def end(self):
        """Ends after a whole round and returns the text of every record that was put, in the order of numbers."""
        self._enough.set()
        self.join()
        if self.failure:
            raise self.failure
        return [f"{key} {number}" for number in range(1, self.rounds + 1) for key in KEYS]
