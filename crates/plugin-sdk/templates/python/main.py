#!/usr/bin/python3 -B
"""A plugin of FlexCore: greets everybody whose record comes in."""

import os
import sys

# The packages of requirements.txt, which `make` puts beside this program.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "site"))

from flexcore_plugin import Failure, Plugin, PluginInfo, serve  # noqa: E402


class Greeter(Plugin):
    info = PluginInfo("my-plugin", "0.1.0", "transformer", stateless=True)

    def config_schema(self):
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["greeting"],
            "additionalProperties": False,
            "properties": {
                "greeting": {
                    "type": "string",
                    "minLength": 1,
                    "description": "What everybody is greeted with.",
                }
            },
        }

    def initialize(self, setup):
        try:
            return setup.config["greeting"]
        except KeyError:
            raise Failure("configuration", "`greeting` is missing") from None

    def execute(self, greeting, call, records, sink):
        for record in records:
            name = record.value.get("name")
            if name is None:
                raise Failure("data", f"record {record.number} has no `name`")
            sink.send("greetings", {"text": f"{greeting}, {name}!"})
        return {"greeted": records.taken}


if __name__ == "__main__":
    serve(Greeter())
