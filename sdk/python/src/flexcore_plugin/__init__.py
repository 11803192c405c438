"""For authors: a process plugin for FlexCore in Python.

Derive from :class:`Plugin`, call :func:`serve`, and put a ``plugin.toml`` beside the program. The
rest is done here: the handshake of HashiCorp's go-plugin, the gRPC services, the flow of records in
both directions within each side's credit, checksums, cancelling, exceptions, the end.
"""

from ._failure import Cancelled, Failure
from ._plugin import Call, DataStream, Plugin, PluginInfo, Problem, Secret, Setup
from ._record import Record, Records
from ._server import serve
from ._sink import Sink

__all__ = [
    "Call",
    "Cancelled",
    "DataStream",
    "Failure",
    "Plugin",
    "PluginInfo",
    "Problem",
    "Record",
    "Records",
    "Secret",
    "Setup",
    "Sink",
    "serve",
]
