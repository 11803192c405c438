"""A FLEXT service as the tests of plugins of kind `http` call it, with the mistakes that services make.

    service.py [--certificates FOLDER] [--mutual]

Prints its port in the first line once it serves. With certificates it serves TLS; with `--mutual` only to those who show
one of its authority's.
"""

import argparse
import asyncio
import json
import socket
import ssl
import sys
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel


class Settings(BaseModel):
    config: dict


class Call(BaseModel):
    id: str
    attempt: int
    operation: str
    tenant: str
    config: dict
    records: list | None = None
    parameters: dict | list | str | int | float | bool | None = None
    state: dict | list | None = None
    secrets: dict[str, str] = {}


class Cancel(BaseModel):
    id: str


def line(**message):
    return json.dumps(message) + "\n"


class Service:
    def __init__(self, listener):
        self.listener = listener
        self.cancelled = []
        self.started = asyncio.Event()

    async def count(self, call):
        """Counts slowly, and says so while it does."""
        for number in range(call.config["to"]):
            yield line(type="log", level="info", message=f"at {number}")
            yield line(type="record", data_stream="numbers", record={"number": number})
        yield line(type="record", data_stream="ends", record={"last": True})
        yield line(type="result", result={"counted": call.config["to"]}, state={"at": call.config["to"]})

    async def half(self):
        yield line(type="record", data_stream="numbers", record={"number": 1})

    async def broken(self):
        yield line(type="record", data_stream="numbers", record={"number": 1})
        yield line(type="error", title="The table is gone", detail="ORDERS was dropped")

    async def flood(self):
        while True:
            yield b" " * 65536
            await asyncio.sleep(0)  # lets the server notice that nobody listens any more

    async def drip(self):
        yield line(type="log", message="first")
        await asyncio.Event().wait()

    async def short(self):
        yield b'{"result": 1'


def application(service):
    @asynccontextmanager
    async def lifespan(_):
        print(service.listener.getsockname()[1], flush=True)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return {"status": "ok", "name": "flext", "version": "1.0.0", "detail": "a service of the tests"}

    @app.get("/schema")
    async def schema():
        return {"config": {"type": "object", "required": ["to"]}}

    @app.post("/schema")
    async def schema_with(settings: Settings):
        return {"config": None, "data_streams": {settings.config["stream"]: {"type": "object"}}}

    @app.post("/validate")
    async def validate(settings: Settings):
        if "to" in settings.config:
            return {"problems": []}
        return {"problems": [{"pointer": "/to", "message": "is missing"}, {"message": "old", "warning": True}]}

    @app.get("/cancelled")
    async def cancelled():
        return service.cancelled

    @app.post("/cancel", status_code=202)
    async def cancel(cancel: Cancel):
        service.cancelled.append(cancel.id)
        return {}

    @app.post("/execute")
    async def execute(call: Call, request: Request):
        match call.operation:
            case "echo":
                kept = ("authorization", "idempotency-key", "traceparent", "flexcore-timeout-ms")
                headers = {name: request.headers[name] for name in kept if name in request.headers}
                return {"result": {"call": call.model_dump(), "headers": headers}, "records": {"b": [1], "a": []}}
            case "count":
                return StreamingResponse(service.count(call), media_type="application/x-ndjson")
            case "half":
                return StreamingResponse(service.half(), media_type="application/x-ndjson")
            case "broken":
                return StreamingResponse(service.broken(), media_type="application/x-ndjson")
            case "flood":
                return StreamingResponse(service.flood(), media_type="application/x-ndjson")
            case "flood-json":
                return StreamingResponse(service.flood(), media_type="application/json")
            case "drip":
                return StreamingResponse(service.drip(), media_type="application/x-ndjson")
            case "short":
                return StreamingResponse(service.short(), media_type="application/json", headers={"content-length": "100"})
            case "silent":
                await asyncio.Event().wait()
            case "garbage":
                return Response(b"\x00\xff{]", media_type="application/json")
            case "deep":
                return Response(b"[" * 100_000, media_type="application/json")
            case "text":
                return PlainTextResponse("done")
            case "encoded":
                return Response(b"x", media_type="application/json", headers={"content-encoding": "gzip"})
            case "elsewhere":
                return RedirectResponse(call.config["to"], status_code=307)
            case "problem":
                problem = {"title": "No such table", "detail": "ORDERS is gone"}
                return JSONResponse(problem, status_code=422, media_type="application/problem+json")
            case "busy":
                return JSONResponse({"title": "Busy"}, status_code=503)
            case "headers":
                return JSONResponse({}, headers={f"x-{number}": "x" for number in range(500)})
            case "crash":
                raise RuntimeError("the service has a mistake")
        return {"result": None}

    return app


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificates")
    parser.add_argument("--mutual", action="store_true")
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    tls = {}
    if arguments.certificates:
        import trustme

        authority = trustme.CA()
        folder = arguments.certificates
        authority.cert_pem.write_to_path(f"{folder}/authority.pem")
        server = authority.issue_cert("localhost", "127.0.0.1")
        server.private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
        client = authority.issue_cert("flexcore@example.com")
        client.cert_chain_pems[0].write_to_path(f"{folder}/client.pem")
        client.private_key_pem.write_to_path(f"{folder}/client.key")
        tls = {"ssl_certfile": f"{folder}/server.pem"}
        if arguments.mutual:
            tls |= {"ssl_ca_certs": f"{folder}/authority.pem", "ssl_cert_reqs": ssl.CERT_REQUIRED}
    config = uvicorn.Config(application(Service(listener)), log_level="critical", **tls)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
