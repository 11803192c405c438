"""A plugin that is a service: says in which country a city is.

    service.py PORT

The contract between FlexCore and such a service is in docs/plugins/http-services.md.
"""

import sys

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

COUNTRIES = {
    "London": "United Kingdom",
    "New York": "United States",
    "Rotterdam": "Netherlands",
    "Los Angeles": "United States",
    "Winterthur": "Switzerland",
}

app = FastAPI()


class Call(BaseModel):
    id: str
    config: dict = {}
    records: list[dict] | None = None


@app.get("/health")
def health():
    return {"status": "up", "name": "places", "version": "0.1.0"}


@app.get("/schema")
def schema():
    settings = {
        "type": "object",
        "properties": {"field": {"type": "string", "default": "city"}},
        "additionalProperties": False,
    }
    return {"config": settings, "data_streams": {}}


@app.post("/validate")
def validate(body: dict):
    field = body.get("config", {}).get("field", "city")
    problems = [] if isinstance(field, str) and field else [{"pointer": "/field", "message": "name a field"}]
    return {"problems": problems}


@app.post("/execute")
def execute(call: Call):
    if call.records is None:
        raise HTTPException(422, "there are no records to work on")
    field = call.config.get("field", "city")
    placed = [{**record, "country": COUNTRIES.get(record.get(field))} for record in call.records]
    return {"result": {"placed": len(placed)}, "records": {"places": placed}}


@app.post("/cancel")
def cancel(body: dict):
    # A call is over before anybody could cancel it.
    return {}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
