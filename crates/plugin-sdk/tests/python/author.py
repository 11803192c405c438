"""A plugin that does what its tests ask, well or badly; the twin of bin/author.rs."""

import threading

from flexcore_plugin import DataStream, Failure, Plugin, PluginInfo, Problem, serve


class Author(Plugin):
    info = PluginInfo("author", "1.2.3", "processor", max_concurrent_executions=4, stateless=True)

    def config_schema(self):
        return {"type": "object", "properties": {"greeting": {"type": "string"}}}

    def data_streams(self, config):
        return [DataStream("numbers", {"type": "object"}, ["n"])]

    def validate(self, config):
        greeting = config.get("greeting", "Hello")
        if not isinstance(greeting, str):
            return [Problem("/greeting", "is a text")]
        if not greeting:
            return [Problem("/greeting", "is empty", warning=True)]
        return []

    def initialize(self, setup):
        if "needs_secret" in setup.config:
            setup.secret("token")
        assert "12345" not in repr(setup)
        secret = setup.secrets.get("token")
        return setup.config, len(secret.bytes) if secret else None

    def execute(self, session, call, records, sink):
        config, secret = session
        match call.operation:
            case "about":
                return {
                    "config": config,
                    "secret": secret,
                    "attempt": call.attempt,
                    "parameters": call.parameters,
                    "bookmark": call.bookmark,
                }
            case "count":
                count = call.parameters["count"]
                for n in range(count):
                    sink.send("numbers", {"n": n})
                sink.log("info", "counted")
                sink.bookmark({"upto": count})
                return count
            case "fail":
                raise Failure("network", "the other side is away")
            case "panic":
                raise RuntimeError("on purpose")
            case "wait":
                sink.send("numbers", {"n": 0})
                call.wait_cancelled()
                raise Failure("cancelled", "as you wish")
            case "hang":
                threading.Event().wait()
            case "no object":
                sink.send("numbers", [1])
            case "pretty":
                sink.send_json("numbers", '{\n  "n": 1.10000000000000000001\n}')
            case "exact":
                for record in records:
                    sink.send("echo", record.exact)
            case _:
                for record in records:
                    record.value
                    sink.pass_on("echo", record)
                return {"records": records.taken}

    def health(self, session):
        if session is None:
            raise RuntimeError("not initialized")


serve(Author())
