"""The process around a plugin: handshake, socket, services, end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent import futures
from typing import Any, Iterator, NoReturn

import grpc

from . import _protocol as protocol
from ._plugin import Plugin
from ._service import PluginService

#: What FlexCore sets unless the manifest's `magic_cookie` says otherwise.
COOKIE = ("FLEXCORE_PLUGIN", "flexcore.plugin.v1")
#: The version of the plugin's protocol: flexcore.plugin.v1.
APP_VERSION = "1"
#: The longest message, either way.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
#: Threads for what is open at the same time besides executions: go-plugin's two streams, a health
#: watch, and short requests.
OTHER_THREADS = 8
#: How many seconds connections may take to close once the plugin let go.
CLOSE_GRACE = 0.2


def serve(plugin: Plugin, cookie: tuple[str, str] = COOKIE) -> NoReturn:
    """Serves a plugin until the host ends it: the whole of a plugin's main program.

    Started by hand, without a host, the program says what it is and how to try it.
    """
    info = plugin.info
    try:
        folder = _socket_folder(cookie)
        _serve(plugin, folder)
    except _CannotServe as error:
        sys.stderr.write(f"{info.name} {info.version}: {error}\n")
        sys.exit(1)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the author's may hang; the process ends nevertheless.
    os._exit(0)


class _CannotServe(Exception):
    pass


def _socket_folder(cookie: tuple[str, str]) -> str:
    key, value = cookie
    if os.environ.get(key) != value:
        raise _CannotServe(
            "this program is a plugin of FlexCore and does nothing by itself.\n"
            "Try it with `flexcore plugin conformance FOLDER`, where FOLDER holds its plugin.toml; "
            "register it with `flexcore plugin register FOLDER`.\n"
            f"(A host sets {key}; if one did start this, its `magic_cookie` differs.)"
        )
    offered = os.environ.get("PLUGIN_PROTOCOL_VERSIONS", APP_VERSION)
    if APP_VERSION not in (version.strip() for version in offered.split(",")):
        raise _CannotServe(
            f"the host speaks the versions {offered} of the plugin protocol, and this plugin "
            f"speaks {APP_VERSION}; `[grpc] app_versions` in plugin.toml says what it speaks"
        )
    if os.environ.get("PLUGIN_CLIENT_CERT"):
        raise _CannotServe(
            "the host wants TLS between the two, which is not supported: turn AutoMTLS off"
        )
    return os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or os.environ.get("TMPDIR") or "/tmp"


def _serve(plugin: Plugin, folder: str) -> None:
    ended = threading.Event()
    service = PluginService(plugin, ended.set)
    threads = max(1, plugin.info.max_concurrent_executions) + OTHER_THREADS
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    surroundings = _Surroundings()
    server.add_generic_rpc_handlers(
        [
            _handler("flexcore.plugin.v1.Plugin", service),
            _handler("grpc.health.v1.Health", surroundings),
            _handler("plugin.GRPCController", _Controller(service)),
            _handler("plugin.GRPCStdio", surroundings),
            _handler("plugin.GRPCBroker", surroundings),
        ]
    )
    path = os.path.join(folder, f"plugin-{os.getpid()}")
    try:
        bound = server.add_insecure_port(f"unix:{path}")
    except RuntimeError as error:
        raise _CannotServe(f"cannot listen on {path}: {error}") from None
    if bound == 0:
        raise _CannotServe(f"cannot listen on {path}")
    # Whoever interrupts the host means the host, which ends its plugins itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=service.let_go).start())
    server.start()
    # The handshake: the one line of go-plugin that says where the plugin listens.
    sys.stdout.write(f"1|{APP_VERSION}|unix|{path}|grpc\n")
    sys.stdout.flush()
    ended.wait()
    server.stop(CLOSE_GRACE).wait()
    if os.path.exists(path):
        os.unlink(path)


class _Surroundings:
    """What hosts of go-plugin ask besides: gRPC's health check, and two streams that this package
    has no use for and keeps open, because hosts open them at the start."""

    def _serving(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.service not in ("", "plugin"):
            message = "there is no such service; the plugin is `plugin`"
            context.abort(grpc.StatusCode.NOT_FOUND, message)
        return protocol.message("grpc.health.v1.HealthCheckResponse")(status=1)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._serving(request, context)

    def Watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield self._serving(request, context)
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait()

    def StreamStdio(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Nothing ever comes: what the plugin prints goes to its own streams, which the host
        reads."""
        self._wait(context)
        yield from ()

    def StartStream(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Nothing ever comes: the plugin needs no further connection."""
        self._wait(context)
        yield from ()

    def _wait(self, context: grpc.ServicerContext) -> None:
        """Until the process ends or the host closes the stream: both end the stream's context."""
        # A host may wait for the answer to begin, and nothing else will begin it.
        context.send_initial_metadata(())
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait()


class _Controller:
    """The end, as hosts of go-plugin ask for it."""

    def __init__(self, service: PluginService) -> None:
        self._service = service

    def Shutdown(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._service.let_go()
        return protocol.message("plugin.Empty")()


def _handler(service: str, servicer: Any) -> grpc.GenericRpcHandler:
    makers = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    methods = {}
    for name, (request, response, client, server) in protocol.SERVICES[service].items():
        methods[name] = makers[client, server](
            getattr(servicer, name),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(service, methods)
