#!/usr/bin/python3 -B
"""A plugin in Python: gives each record a score, the share of vowels in one of its fields."""

import os
import sys

# What the plugin needs lies beside it; `assemble.sh` puts it there.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "site"))

from flexcore_plugin import Failure, Plugin, PluginInfo, serve  # noqa: E402


class Score(Plugin):
    info = PluginInfo("score", "0.1.0", "transformer", stateless=True)

    def config_schema(self):
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"field": {"type": "string", "default": "name"}},
            "additionalProperties": False,
        }

    def initialize(self, setup):
        return setup.config.get("field", "name")

    def execute(self, field, call, records, sink):
        for record in records:
            value = record.value
            text = str(value.get(field) or "")
            if not text:
                raise Failure("data", f"record {record.number} has no `{field}`")
            vowels = sum(letter in "aeiou" for letter in text.lower())
            sink.send("scores", {**value, "score": round(100 * vowels / len(text))})
        return {"scored": records.taken}


if __name__ == "__main__":
    serve(Score())
