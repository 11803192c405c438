"""JSON whose decimals keep their digits where they are :class:`decimal.Decimal`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from ._failure import Failure

_ENCODE_TEXT = json.encoder.encode_basestring_ascii


class _HasDecimal(Exception):
    pass


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        raise _HasDecimal
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


def dumps(value: Any) -> str:
    """A value as JSON on one line."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_other)
    except _HasDecimal:
        return _with_decimals(value)


def _with_decimals(value: Any) -> str:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("Out of range float values are not JSON compliant")
        return str(value)
    if isinstance(value, dict):
        fields = (
            f"{_ENCODE_TEXT(key if isinstance(key, str) else str(key))}:"
            f"{_with_decimals(item)}"
            for key, item in value.items()
        )
        return "{" + ",".join(fields) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_with_decimals, value)) + "]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_other)


def loads(text: str | bytes, what: str, exact: bool = False) -> Any:
    """Reads JSON; ``what`` names it in the failure."""
    try:
        return json.loads(text, parse_float=Decimal if exact else None)
    except (ValueError, RecursionError) as error:
        raise Failure("data", f"{what} cannot be read: {error}") from None
