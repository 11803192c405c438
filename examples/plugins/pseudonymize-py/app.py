"""Replaces the values of chosen fields by short keyed hashes: equal values stay equal, and nobody can read them.

Settings: `fields`, the names of the fields, and `key`, the name of the secret that keys the hashes.
"""

import hashlib
import hmac
import json
import warnings  # noqa: F401  (`hmac` imports it when it is first used, and then there is no library to import from)

import wit_world
from componentize_py_types import Err
from wit_world.imports import log, secrets, state, types

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "fields": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "key": {"type": "string"},
    },
    "required": ["fields", "key"],
    "additionalProperties": False,
}


def failure(kind: types.FailureClass, message: str) -> Err:
    return Err(types.Failure(kind, message))


class WitWorld(wit_world.WitWorld):
    def info(self) -> types.PluginInfo:
        return types.PluginInfo(
            "pseudonymize", "0.1.0", types.PluginType.TRANSFORMER, "Replaces values of fields by keyed hashes."
        )

    def config_schema(self) -> str:
        return json.dumps(SCHEMA)

    def validate(self, config: str) -> list[types.Problem]:
        settings = json.loads(config)
        problems = []
        if not settings.get("fields"):
            problems.append(types.Problem("/fields", "name at least one field"))
        if not isinstance(settings.get("key"), str):
            problems.append(types.Problem("/key", "name the secret that keys the hashes"))
        return problems

    def execute(self, call: types.Call) -> types.Payload:
        settings = json.loads(call.config)
        if not isinstance(call.input, types.Payload_Records):
            raise failure(types.FailureClass.DATA, "there are no records to work on")
        try:
            key = secrets.get(settings["key"]).encode()
        except Err as error:
            raise failure(types.FailureClass.CONFIGURATION, f"the secret `{settings['key']}` cannot be had") from error
        records = []
        for record in call.input.value:
            value = json.loads(record.json)
            for field in settings["fields"]:
                if value.get(field) is not None:
                    text = value[field] if isinstance(value[field], str) else json.dumps(value[field])
                    value[field] = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]
            records.append(types.DataRecord(record.data_stream, json.dumps(value, ensure_ascii=False)))
        seen = int(state.get("records") or "0") + len(records)
        state.put("records", str(seen))
        log.write(log.Level.INFO, f"{len(records)} records, {seen} in all")
        return types.Payload_Records(records)
