"""What an author's code and the connection of its call share.

Three threads meet here: one takes the host's messages, one runs the author's code, one sends. A
single condition wakes whoever waits.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable

import google_crc32c

from . import _json
from . import _protocol as protocol
from ._failure import Cancelled, Failure
from ._plugin import DataStream

#: With how much credit the host begins.
WINDOW_CHUNKS = 32
WINDOW_BYTES = 16 * 1024 * 1024
#: As many bytes as a chunk gathers, and as it can have.
CHUNK_BYTES = 256 * 1024
MAX_CHUNK_BYTES = 15 * 1024 * 1024
#: As many messages as wait for the connection.
MAX_WAITING = 8

JSONL = 2
LEVELS = {"debug": 1, "info": 2, "warn": 3, "error": 4}


class Breach(Exception):
    """The host broke the protocol."""


class Exchange:
    """Both directions of one execution."""

    def __init__(self, begin: Any) -> None:
        self._condition = threading.Condition()
        self.cancelled: str | None = None
        self._is_over = False
        # From the host.
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._input_streams: dict[int, str] = {}
        self._next_input = 0
        self._input_ended = False
        self._credit = [WINDOW_CHUNKS, WINDOW_BYTES]
        self._taken = [0, 0]
        self._breach: Breach | None = None
        # To the host.
        self._waiting: deque[Any] = deque()
        self._host_credit = [begin.credit.chunks, begin.credit.bytes]
        # A host that gives little at a time gets small chunks.
        self._chunk_bytes = max(1, min(CHUNK_BYTES, begin.credit.bytes // 2))
        self._streams: dict[str, tuple[int, DataStream]] = {}
        self._sent_schemas: set[int] = set()
        self._open_stream: str | None = None
        self._open_lines: list[bytes] = []
        self._open_bytes = 0
        self.chunks_sent = 0
        for definition in begin.schemas:
            self._define(definition)

    # --- for the connection ------------------------------------------------------------------

    def receive(self, request: Any) -> None:
        """Takes a message of the host."""
        kind = request.WhichOneof("message")
        with self._condition:
            if kind == "data":
                self._take_in(request.data)
            elif kind == "credit":
                self._host_credit[0] += request.credit.chunks
                self._host_credit[1] += request.credit.bytes
            elif kind == "end_of_input":
                chunks = request.end_of_input.chunks
                if self._input_ended or chunks != self._next_input:
                    came = self._next_input
                    raise Breach(f"the input ended after {chunks} chunks, and {came} came")
                self._input_ended = True
            elif kind == "cancel":
                self.cancelled = request.cancel.reason
            else:
                raise Breach("an execution began twice" if kind == "begin" else "an empty message")
            self._condition.notify_all()

    def host_stopped(self, breach: Breach | None = None) -> None:
        """The host sends nothing any more, or broke the protocol."""
        with self._condition:
            if breach is None and not (self._input_ended or self.cancelled is not None):
                breach = Breach("the input ended without saying so")
            if breach is not None:
                self._breach = breach
                self.cancelled = self.cancelled or "the host broke the protocol"
            self._condition.notify_all()

    def host_left(self) -> None:
        """Nobody listens any more: the author's code stops at its next record."""
        with self._condition:
            self._is_over = True
            self.cancelled = self.cancelled or "the host went away"
            self._condition.notify_all()

    def _define(self, definition: Any) -> None:
        number = definition.schema_id
        if number == 0 or number in self._input_streams:
            raise Breach(f"schema {number} is defined twice, or is 0")
        self._input_streams[number] = definition.data_stream.name

    def _take_in(self, chunk: Any) -> None:
        if self._input_ended:
            raise Breach("data came after the end of the input")
        if chunk.seq != self._next_input:
            raise Breach(f"chunk {chunk.seq} came where {self._next_input} was due")
        self._next_input += 1
        if chunk.HasField("schema"):
            self._define(chunk.schema)
        if chunk.schema_id not in self._input_streams:
            raise Breach(f"schema {chunk.schema_id} was never defined")
        if chunk.WhichOneof("payload") != "jsonl":
            raise Breach("a chunk is not in the encoding of the execution, JSON lines")
        lines = chunk.jsonl
        if self._credit[0] < 1 or self._credit[1] < len(lines):
            raise Breach("a chunk came for which there was no credit")
        self._credit[0] -= 1
        self._credit[1] -= len(lines)
        if google_crc32c.value(lines) != chunk.crc32c:
            raise Breach("a chunk has another checksum")
        if lines and not lines.endswith(b"\n"):
            raise Breach("the last line of a chunk has no end")
        if lines.count(b"\n") != chunk.records:
            raise Breach(f"a chunk does not have the {chunk.records} records that it counts")
        self._chunks.append((self._input_streams[chunk.schema_id], lines))

    def next_answer(self, is_done: Callable[[], bool]) -> Any | None:
        """The next message for the host; None once ``is_done()`` and everything is sent. Waits."""
        with self._condition:
            while True:
                if self._breach is not None:
                    raise self._breach
                # The author has nothing to add now, or is at work: what there is may go.
                if not self._waiting and self._open_stream is not None:
                    self._close()
                if self._waiting:
                    answer = self._waiting.popleft()
                    self._condition.notify_all()
                    return answer
                if is_done():
                    return None
                self._condition.wait()

    def wait_done_or_cancelled(self, is_done: Callable[[], bool]) -> None:
        """Waits until the author's code has ended or is asked to stop."""
        with self._condition:
            self._condition.wait_for(lambda: is_done() or self.cancelled is not None)

    def wait_done(self, is_done: Callable[[], bool], timeout: float) -> bool:
        """Waits until the author's code has ended, at most so many seconds; whether it has."""
        with self._condition:
            return self._condition.wait_for(is_done, timeout)

    def wake(self) -> None:
        """Has the sender look again."""
        with self._condition:
            self._condition.notify_all()

    # --- for the author ----------------------------------------------------------------------

    def _check(self) -> None:
        if self.cancelled is not None:
            raise Cancelled(self.cancelled)

    def wait_cancelled(self, timeout: float | None) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: self.cancelled is not None, timeout)

    def next_chunk(self) -> tuple[str, bytes] | None:
        with self._condition:
            while True:
                self._check()
                if self._chunks:
                    return self._chunks.popleft()
                if self._input_ended:
                    return None
                self._condition.wait()

    def used(self, length: int) -> None:
        """A chunk was used up. The host gets credit back for half a window at a time."""
        with self._condition:
            self._taken[0] += 1
            self._taken[1] += length
            is_due = self._taken[0] >= WINDOW_CHUNKS // 2 or self._taken[1] >= WINDOW_BYTES // 2
            if self._input_ended or not is_due:
                return
            chunks, size = self._taken
            self._credit[0] += chunks
            self._credit[1] += size
            self._taken = [0, 0]
            self._answer(credit=protocol.Credit(chunks=chunks, bytes=size))

    def declare(self, stream: DataStream) -> None:
        with self._condition:
            if stream.name in self._streams:
                raise Failure(
                    "internal",
                    f"the data stream `{stream.name}` was declared twice, or after its first record",
                )
            self._streams[stream.name] = (len(self._streams) + 1, stream)

    def send(self, stream: str, line: bytes) -> None:
        size = len(line) + 1
        if size > MAX_CHUNK_BYTES:
            raise Failure(
                "data",
                f"a record of data stream `{stream}` has {size} bytes; at most {MAX_CHUNK_BYTES} "
                "are possible",
            )
        with self._condition:
            while True:
                self._check()
                fits = self._open_stream is None or (
                    self._open_stream == stream and self._open_bytes + size <= self._chunk_bytes
                )
                if len(self._waiting) < MAX_WAITING and (fits or self._close()):
                    break
                self._condition.wait()
            if stream not in self._streams:
                self._streams[stream] = (len(self._streams) + 1, DataStream(stream))
            is_first = self._open_stream is None
            self._open_stream = stream
            self._open_lines.append(line)
            self._open_bytes += size
            if is_first:
                self._condition.notify_all()

    def _close(self) -> bool:
        """Makes a message of the open chunk if the credit suffices; whether none is open."""
        if self._open_stream is None:
            return True
        if self._host_credit[0] < 1 or self._host_credit[1] < self._open_bytes:
            return False
        self._host_credit[0] -= 1
        self._host_credit[1] -= self._open_bytes
        number, declared = self._streams[self._open_stream]
        lines = b"\n".join(self._open_lines) + b"\n"
        chunk = protocol.DataChunk(
            seq=self.chunks_sent,
            schema_id=number,
            jsonl=lines,
            crc32c=google_crc32c.value(lines),
            records=len(self._open_lines),
        )
        if number not in self._sent_schemas:
            self._sent_schemas.add(number)
            chunk.schema.schema_id = number
            chunk.schema.data_stream.name = declared.name
            chunk.schema.data_stream.schema_json = _json.dumps(dict(declared.schema))
            chunk.schema.data_stream.key_properties.extend(declared.key_properties)
        self.chunks_sent += 1
        self._open_stream, self._open_lines, self._open_bytes = None, [], 0
        self._answer(data=chunk)
        return True

    def flush(self) -> None:
        """Waits until everything that was sent is on its way."""
        with self._condition:
            while True:
                self._check()
                if len(self._waiting) < MAX_WAITING and self._close():
                    return
                self._condition.wait()

    def bookmark(self, text: str) -> None:
        self.flush()
        with self._condition:
            bookmark = protocol.v1("Bookmark")(bookmark_json=text, below_seq=self.chunks_sent)
            self._answer(bookmark=bookmark)

    def log(self, level: str, message: str) -> None:
        with self._condition:
            # Lines are dropped where they come faster than the host takes them.
            if len(self._waiting) < MAX_WAITING:
                self._answer(log=protocol.v1("LogLine")(level=LEVELS[level], message=message))

    def _answer(self, **message: Any) -> None:
        self._waiting.append(protocol.ExecuteResponse(**message))
        self._condition.notify_all()
