"""The records that go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Mapping

from . import _json
from ._failure import Failure
from ._plugin import DataStream
from ._record import Record

if TYPE_CHECKING:
    from ._exchange import Exchange

LogLevel = Literal["debug", "info", "warn", "error"]


class Sink:
    """Takes what a call sends: records, bookmarks and lines of the log."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange

    def declare(self, stream: DataStream) -> None:
        """Says what the records of a data stream are like, before its first record. Without it the
        records may be any object."""
        self._exchange.declare(stream)

    def send(self, stream: str, record: Mapping[str, Any]) -> None:
        """Sends a record to a data stream. Waits while the host takes nothing more."""
        if not isinstance(record, Mapping):
            raise Failure("data", f"a record for data stream `{stream}` is no JSON object")
        self._exchange.send(stream, _json.dumps(dict(record)).encode())

    def send_json(self, stream: str, record: str | bytes) -> None:
        """Sends a record as text that is JSON already; its numbers keep every digit."""
        line = record.encode() if isinstance(record, str) else record
        if not line.lstrip().startswith(b"{"):
            raise Failure("data", f"a record for data stream `{stream}` is no JSON object")
        # Between tokens a line feed is space; in a string it would be no JSON.
        self._exchange.send(stream, line.replace(b"\n", b" "))

    def pass_on(self, stream: str, record: Record) -> None:
        """Sends a record on as it came."""
        self.send_json(stream, record.json)

    def bookmark(self, bookmark: Any) -> None:
        """Says how far the call got, after everything that was sent before: the next call finds it
        in ``call.bookmark`` if this one completes."""
        self._exchange.bookmark(_json.dumps(bookmark))

    def flush(self) -> None:
        """Hands everything to the connection that was gathered until now."""
        self._exchange.flush()

    def log(self, level: LogLevel, message: str) -> None:
        """A line for the log of the attempt. Without secrets."""
        self._exchange.log(level, message)
