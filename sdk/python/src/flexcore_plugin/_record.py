"""The records that come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

from . import _json
from ._failure import Failure

if TYPE_CHECKING:
    from ._exchange import Exchange


class Record:
    """One record as it came: a JSON object as text, so that numbers keep every digit for whoever
    passes it on."""

    __slots__ = ("stream", "number", "json")

    def __init__(self, stream: str, number: int, json: bytes) -> None:
        #: The data stream that it belongs to.
        self.stream = stream
        #: Which record of the call it is, from 1, over all data streams.
        self.number = number
        #: Its text, without the end of the line.
        self.json = json

    @property
    def value(self) -> dict[str, Any]:
        """The record; decimals are floats, which keep about 15 digits."""
        return self._read(exact=False)

    @property
    def exact(self) -> dict[str, Any]:
        """The record; decimals are :class:`decimal.Decimal` with every digit."""
        return self._read(exact=True)

    def _read(self, exact: bool) -> dict[str, Any]:
        what = f"record {self.number} of data stream `{self.stream}`"
        value = _json.loads(self.json, what, exact)
        if not isinstance(value, dict):
            raise Failure("data", f"{what} is no object")
        return value


class Records:
    """The records of a call, in their order. The host sends more only as they are taken."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        #: How many records were taken.
        self.taken = 0

    def __iter__(self) -> Iterator[Record]:
        while (chunk := self._exchange.next_chunk()) is not None:
            stream, lines = chunk
            for line in lines.split(b"\n")[:-1]:
                self.taken += 1
                yield Record(stream, self.taken, line)
            self._exchange.used(len(lines))
