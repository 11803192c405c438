"""What an author writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Mapping, Sequence

from ._failure import Failure

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._record import Records
    from ._sink import Sink

PluginType = Literal["extractor", "loader", "transformer", "processor"]


@dataclass(frozen=True)
class PluginInfo:
    """What a plugin is; the host holds it against ``plugin.toml``."""

    name: str
    version: str
    plugin_type: PluginType
    #: How many calls it can carry out at the same time, each on a thread of its own.
    max_concurrent_executions: int = 1
    #: Whether it keeps nothing between calls, so that several tenants may share a process.
    stateless: bool = False


@dataclass(frozen=True)
class DataStream:
    """A data stream that a plugin has."""

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    key_properties: Sequence[str] = ()


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with settings."""

    #: The JSON pointer of the setting, such as ``/rules/0``; empty for the settings as a whole.
    pointer: str
    #: What is wrong and what to do, for a person. Without secrets.
    message: str
    #: Whether the settings can be used nevertheless.
    warning: bool = False


class Secret:
    """The value of a secret. Neither ``str()`` nor ``repr()`` shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    @property
    def bytes(self) -> bytes:
        """The value."""
        return self._value

    @property
    def text(self) -> str:
        """The value as text."""
        return self._value.decode()

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True)
class Setup:
    """What a plugin is initialized with."""

    #: The settings.
    config: dict[str, Any]
    #: The values of the secrets that the plugin was granted, by name.
    secrets: Mapping[str, Secret]
    #: A folder that belongs to the plugin alone and ends with it, if there is one.
    scratch_folder: Path | None = None

    def secret(self, name: str) -> Secret:
        """The value of a secret; a :class:`Failure` that says where it is asked for without it."""
        if name not in self.secrets:
            raise Failure(
                "configuration",
                f"the secret `{name}` is not there; plugin.toml asks for it with "
                f'`[capabilities] secrets = ["{name}"]`, and the operator grants and sets it',
            )
        return self.secrets[name]


@dataclass(frozen=True)
class Call:
    """What the host asks for."""

    execution_id: str
    step_id: str
    #: Which try of the step this is, from 1.
    attempt: int
    #: The same for every try of the same work; empty where there is none.
    idempotency_key: str
    #: What to do, where the plugin can do several things; empty for the usual one.
    operation: str
    #: The parameters; an empty object if none were given.
    parameters: Any
    #: What :meth:`Sink.bookmark` kept at the last completed call; None at the first time.
    bookmark: Any
    #: How many seconds the call may take; the host ends it then.
    timeout: float | None
    _exchange: "Exchange" = field(repr=False)

    @property
    def is_cancelled(self) -> bool:
        """Whether the host asked to stop. Taking and sending records raises
        :class:`Cancelled` then, so only long work in between has to ask."""
        return self._exchange.cancelled is not None

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Waits until the host asks to stop, at most so many seconds; whether it did."""
        return self._exchange.wait_cancelled(timeout)


class Plugin:
    """A plugin. The host reads :attr:`info` once, then calls :meth:`initialize` with settings, then
    :meth:`execute` any number of times."""

    #: What the plugin is.
    info: PluginInfo

    def config_schema(self) -> Mapping[str, Any]:
        """The JSON Schema (draft 2020-12) of the settings. Takes any object unless overridden."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}

    def data_streams(self, config: dict[str, Any]) -> Sequence[DataStream]:
        """The data streams that there are with these settings."""
        return ()

    def validate(self, config: dict[str, Any]) -> Sequence[Problem]:
        """What is wrong with settings, beyond what their schema says. Reaches nothing outside."""
        return ()

    def initialize(self, setup: Setup) -> Any:
        """Opens what the plugin needs, and returns it: :meth:`execute` is given it as ``session``.
        May come again with other settings: calls that still run keep the session they began with."""
        return None

    def execute(self, session: Any, call: Call, records: "Records", sink: "Sink") -> Any:
        """Carries out one call: takes records, sends records, returns the result of the call as a
        whole; None if there is none. Raise :class:`Failure` where it cannot be done."""
        raise NotImplementedError("a plugin has an `execute`")

    def health(self, session: Any | None) -> None:
        """Raises an exception if the plugin cannot be called; ``session`` is None before the first
        :meth:`initialize`."""

    def shutdown(self) -> None:
        """Lets go of what the plugin holds. The process ends afterwards."""
