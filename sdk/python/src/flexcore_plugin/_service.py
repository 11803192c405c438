"""The services of a plugin, on top of the author's class."""

from __future__ import annotations

import json
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Callable, Iterator

import grpc

from . import _json
from . import _protocol as protocol
from ._exchange import JSONL, WINDOW_BYTES, WINDOW_CHUNKS, Breach, Exchange
from ._failure import Cancelled, Failure
from ._plugin import Call, Plugin, Problem, Secret, Setup
from ._record import Records
from ._sink import Sink

#: How many seconds an author's code may go on after the host asked to stop.
CANCEL_GRACE = 1.0
#: How many seconds letting go may take where the host does not say.
SHUTDOWN_GRACE = 2.0

_TYPES = {"extractor": 1, "loader": 2, "transformer": 3, "processor": 4}
_CLASSES = {"configuration": 1, "data": 2, "network": 3, "cancelled": 4, "internal": 5}
_CODES = {
    "configuration": grpc.StatusCode.INVALID_ARGUMENT,
    "data": grpc.StatusCode.FAILED_PRECONDITION,
    "network": grpc.StatusCode.UNAVAILABLE,
    "cancelled": grpc.StatusCode.CANCELLED,
    "internal": grpc.StatusCode.INTERNAL,
}


class PluginService:
    """FlexCore's own protocol."""

    def __init__(self, plugin: Plugin, end: Callable[[], None]) -> None:
        self._plugin = plugin
        self._end = end
        self._lock = threading.Lock()
        self._session: tuple[Any] | None = None
        self._running = 0
        self._broken: str | None = None

    def Info(self, request: Any, context: grpc.ServicerContext) -> Any:
        info = self._plugin.info
        return protocol.v1("InfoResponse")(
            name=info.name,
            version=info.version,
            plugin_type=_TYPES[info.plugin_type],
            encodings=[JSONL],
            max_concurrent_executions=max(1, info.max_concurrent_executions),
            stateless=info.stateless,
            initial_credit=protocol.Credit(chunks=WINDOW_CHUNKS, bytes=WINDOW_BYTES),
        )

    def Validate(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            problems = self._problems(_settings(request.config_json))
        except Failure as failure:
            problems = [Problem("", failure.message)]
        return protocol.v1("ValidateResponse")(problems=[_problem(found) for found in problems])

    def _problems(self, config: dict[str, Any]) -> list[Problem]:
        return list(_author(self._plugin.validate, config))

    def Schema(self, request: Any, context: grpc.ServicerContext) -> Any:
        answer = protocol.v1("SchemaResponse")(
            config_schema_json=_json.dumps(dict(self._plugin.config_schema()))
        )
        try:
            streams = ()
            if request.config_json:
                streams = _author(self._plugin.data_streams, _settings(request.config_json))
        except Failure as failure:
            context.abort(_CODES[failure.failure_class], failure.message)
        for stream in streams:
            answer.data_streams.add(
                name=stream.name,
                schema_json=_json.dumps(dict(stream.schema)),
                key_properties=stream.key_properties,
            )
        return answer

    def Initialize(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            config = _settings(request.config_json)
            problems = self._problems(config)
            for problem in problems:
                if not problem.warning:
                    place = f"{problem.pointer}: " if problem.pointer else ""
                    raise Failure("configuration", place + problem.message)
            secrets = {name: Secret(value) for name, value in request.secrets.items()}
            folder = Path(request.scratch_folder) if request.scratch_folder else None
            session = _author(self._plugin.initialize, Setup(config, secrets, folder))
        except Failure as failure:
            context.abort(_CODES[failure.failure_class], failure.message)
        with self._lock:
            self._session = (session,)
        return protocol.v1("InitializeResponse")(warnings=[_problem(found) for found in problems])

    def Health(self, request: Any, context: grpc.ServicerContext) -> Any:
        answer = protocol.v1("HealthResponse")
        if self._broken is not None:
            return answer(healthy=False, detail=f"an execution raised: {self._broken}")
        session = self._session
        try:
            self._plugin.health(session[0] if session else None)
        except Exception as error:
            return answer(healthy=False, detail=str(error) or type(error).__name__)
        return answer(healthy=True)

    def Shutdown(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.let_go(request.grace_ms / 1000 or SHUTDOWN_GRACE)
        return protocol.v1("ShutdownResponse")()

    def let_go(self, grace: float = SHUTDOWN_GRACE) -> None:
        """Has the author let go, and then the process end."""
        thread = threading.Thread(target=_quietly, args=(self._plugin.shutdown,), daemon=True)
        thread.start()
        thread.join(grace)
        self._end()

    def Execute(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        with self._lock:
            session = self._session
            most = max(1, self._plugin.info.max_concurrent_executions)
            is_full = self._running >= most
            if session is not None and not is_full:
                self._running += 1
        if session is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the plugin was not initialized")
        if is_full:
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the plugin carries out {most} executions at a time, and as many are running",
            )
        done = Once(self._leave)
        try:
            yield from self._execution(session[0], requests, context, done)
        except Breach as breach:
            message = f"the host broke the protocol: {breach}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1

    def _execution(
        self, session: Any, requests: Iterator[Any], context: grpc.ServicerContext, done: "Once"
    ) -> Iterator[Any]:
        try:
            first = next(requests, None)
            if first is None or first.WhichOneof("message") != "begin":
                raise Breach("an execution starts with `begin`")
            begin = first.begin
            if begin.encoding != JSONL:
                raise Breach("it asked for another encoding than JSON lines")
            exchange = Exchange(begin)
        except BaseException:
            done()
            raise
        context.add_callback(exchange.host_left)
        outcome: list[Any] = []

        def work() -> None:
            try:
                outcome.append(self._call(session, begin, exchange))
            finally:
                done()
                exchange.wake()

        def receive() -> None:
            try:
                for request in requests:
                    exchange.receive(request)
                exchange.host_stopped()
            except Breach as breach:
                exchange.host_stopped(breach)
            except Exception:
                # The stream broke; `host_left` says so.
                pass

        # Not waited for: an author's code that does not stop must not keep the process.
        threading.Thread(target=receive, daemon=True).start()
        threading.Thread(target=work, daemon=True).start()
        watch = threading.Thread(target=self._give_up, args=(exchange, outcome), daemon=True)
        watch.start()
        while (answer := exchange.next_answer(lambda: bool(outcome))) is not None:
            yield answer
        yield outcome[0]

    @staticmethod
    def _give_up(exchange: Exchange, outcome: list[Any]) -> None:
        """Ends a cancelled call whose code goes on."""
        exchange.wait_done_or_cancelled(lambda: bool(outcome))
        if not outcome and not exchange.wait_done(lambda: bool(outcome), CANCEL_GRACE):
            outcome.append(_failed(Cancelled(exchange.cancelled or "")))
            exchange.wake()

    def _call(self, session: Any, begin: Any, exchange: Exchange) -> Any:
        """Runs the author's code; its last message."""
        try:
            parameters = {}
            if begin.parameters_json:
                parameters = _json.loads(begin.parameters_json, "the input")
            bookmark = None
            if begin.bookmark_json:
                bookmark = _json.loads(begin.bookmark_json, "the bookmark")
            call = Call(
                execution_id=begin.execution_id,
                step_id=begin.step_id,
                attempt=begin.attempt,
                idempotency_key=begin.idempotency_key,
                operation=begin.operation,
                parameters=parameters,
                bookmark=bookmark,
                timeout=begin.timeout_ms / 1000 if begin.timeout_ms else None,
                _exchange=exchange,
            )
            result = self._plugin.execute(session, call, Records(exchange), Sink(exchange))
            exchange.flush()
            return protocol.ExecuteResponse(
                completed=protocol.v1("ExecutionCompleted")(
                    output_json="" if result is None else _json.dumps(result),
                    chunks=exchange.chunks_sent,
                )
            )
        except Failure as failure:
            return _failed(failure)
        except BaseException as error:
            traceback.print_exc(file=sys.stderr)
            self._broken = _raised(error)
            return _failed(Failure("internal", f"the plugin raised {self._broken}"))


class Once:
    """Calls something once."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action: Callable[[], None] | None = action
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            action, self._action = self._action, None
        if action is not None:
            action()


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _author(method: Callable[..., Any], *arguments: Any) -> Any:
    """Calls an author's method; whatever it raises is a failure."""
    try:
        return method(*arguments)
    except Failure:
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        raise Failure("internal", f"the plugin raised {_raised(error)}") from error


def _quietly(method: Callable[[], None]) -> None:
    try:
        method()
    except Exception:
        traceback.print_exc(file=sys.stderr)


def _failed(failure: Failure) -> Any:
    failed = protocol.v1("ExecutionFailed")(message=failure.message)
    setattr(failed, "class", _CLASSES[failure.failure_class])
    return protocol.ExecuteResponse(failed=failed)


def _problem(problem: Problem) -> Any:
    return protocol.v1("Problem")(
        pointer=problem.pointer, message=problem.message, warning=problem.warning
    )


def _settings(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure("configuration", f"the settings are no JSON: {error}") from None
    if not isinstance(config, dict):
        raise Failure("configuration", "the settings are no JSON object")
    return config
