"""The messages of the protocol, made from its compiled form."""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FILES = descriptor_pb2.FileDescriptorSet.FromString(
    resources.files(__package__).joinpath("protocol.binpb").read_bytes()
)
# A pool of its own: the author's program may hold other versions of the same files.
_POOL = descriptor_pool.DescriptorPool()
for _file in _FILES.file:
    _POOL.Add(_file)


def message(name: str) -> Any:
    """The class of a message, by its full name."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def v1(name: str) -> Any:
    """The class of a message of FlexCore's own protocol."""
    return message(f"flexcore.plugin.v1.{name}")


#: The methods of every service: name to (request, response, client streams, server streams).
SERVICES: dict[str, dict[str, tuple[Any, Any, bool, bool]]] = {}
for _file in _FILES.file:
    for _service in _file.service:
        SERVICES[f"{_file.package}.{_service.name}"] = {
            method.name: (
                message(method.input_type.lstrip(".")),
                message(method.output_type.lstrip(".")),
                method.client_streaming,
                method.server_streaming,
            )
            for method in _service.method
        }

Credit = v1("Credit")
DataChunk = v1("DataChunk")
ExecuteResponse = v1("ExecuteResponse")
