"""The API described, as OpenAPI has it: for this machine's metrics and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from topiq_metrics import __version__
from topiq_metrics.serving.limits import Limits
from topiq_metrics.serving.offered import Offered

Schema: TypeAlias = "dict[str, Any]"

LEAST_PREVIEW, MOST_PREVIEW = 32, 2048
"""The longer side of a preview, in pixels."""

_FILE: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
_TEXT: Schema = {"type": "string"}
_NUMBER_OR_NONE: Schema = {"type": ["number", "null"]}
_COUNT_OR_NONE: Schema = {"type": ["integer", "null"], "minimum": 1}
_REFUSALS = {
    "400": "The form is damaged.",
    "403": "The request is addressed to another name, or comes from a page of another site.",
    "408": "The request stopped coming.",
    "413": "The request is too large.",
    "415": "The request is no form.",
    "422": "A field is missing, unknown or wrong.",
    "500": "The device has failed.",
    "503": "Too many requests wait, the server ends, or a metric cannot be loaded.",
}


def openapi(offered: Mapping[str, Offered], limits: Limits, *, has_token: bool) -> Schema:
    """The document, of OpenAPI 3.1."""
    here = {name: metric for name, metric in offered.items() if metric.is_here}
    comparing = [name for name, metric in here.items() if metric.compares]
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "topiq serve",
            "version": __version__,
            "description": "Scores pictures on this machine. A picture that cannot be scored is a row with the reason.",
        },
        "paths": {
            "/api/metrics": {"get": _listing()},
            "/api/score": {"post": _scoring(list(here), comparing, limits)},
            "/api/compare": {"post": _comparing(comparing, limits)},
        },
        "components": {"schemas": {"Refusal": _refusal()}},
    }
    if has_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"]["401"] = _refused("The token is missing or wrong.")
    return document


def _listing() -> Schema:
    metric = _object(
        name=_TEXT,
        mode={"enum": ["NR", "FR"], "description": "FR compares with a reference."},
        summary=_TEXT,
        score_range={"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        higher_is_better={"type": "boolean"},
        license=_TEXT,
        here={"type": "boolean", "description": "Whether it can be asked for."},
        lacking={"type": "string", "description": "What it lacks here, and how to get it."},
        compares={"type": "boolean", "description": "Whether /api/compare takes it, and `map`."},
    )
    bounds = _object(
        request_bytes={"type": "integer"},
        pictures={"type": "integer"},
        pixels={"type": "integer"},
    )
    defaults = _object(NR=_TEXT, FR=_TEXT)
    answer = _object(version=_TEXT, defaults=defaults, metrics={"type": "array", "items": metric}, limits=bounds)
    return {
        "operationId": "metrics",
        "summary": "The metrics of the catalogue, and which of them are on this machine.",
        "responses": {"200": _answered("All metrics.", answer), "403": _refused(_REFUSALS["403"])},
    }


def _scoring(names: list[str], comparing: list[str], limits: Limits) -> Schema:
    form = _form(
        limits,
        metrics={
            "type": "array",
            "items": {"type": "string", "enum": names},
            "minItems": 1,
            "maxItems": len(names),
            "description": "By default the bundled one, full-reference where there is a reference.",
        },
        preview={
            "type": "integer",
            "minimum": LEAST_PREVIEW,
            "maximum": MOST_PREVIEW,
            "description": "The longer side of a JPEG of each picture, in pixels, for formats browsers do not show.",
        },
        map={
            "type": "string",
            "enum": comparing,
            "description": "The metric of a map of each picture's local quality.",
        },
    )
    cells = {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": {"type": "number"}}}
    quality = _object(
        metric=_TEXT,
        score={"type": "number"},
        values={**cells, "description": "Rows of cells, which tile the picture, on the scale of the score."},
    )
    row = _object(
        name=_TEXT,
        scores={"type": "object", "additionalProperties": _NUMBER_OR_NONE},
        width=_COUNT_OR_NONE,
        height=_COUNT_OR_NONE,
        size={"type": "string", "description": "The size rule."},
        status={"enum": ["ok", "partial", "error"]},
        reason={"type": "string", "description": "A word to sort by; empty where every score is there."},
        error={"type": "string", "description": "The reason in words, beginning with that word."},
        note={"type": "string", "description": "What there is to know of the scores."},
        preview={"type": ["string", "null"], "description": "A data: URI."},
        map={"anyOf": [quality, {"type": "null"}]},
    )
    return {
        "operationId": "score",
        "summary": "Score pictures, each by itself or against the reference.",
        "requestBody": _body(form),
        "responses": _responses("A row for each picture, in their order.", {"type": "array", "items": row}),
    }


def _comparing(names: list[str], limits: Limits) -> Schema:
    form = _form(
        limits,
        metric={
            "type": "string",
            "enum": names,
            "description": "By default the bundled one, full-reference where there is a reference.",
        },
    )
    form["properties"]["images"]["minItems"] = 2
    row = _object(
        name=_TEXT,
        score=_NUMBER_OR_NONE,
        noise={**_NUMBER_OR_NONE, "description": "How far the score moves by what changes no quality."},
        place={**_COUNT_OR_NONE, "description": "1 plus the number of pictures that are better beyond the noise."},
        ties={
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "description": "The indexes of pictures that are not told apart from it.",
        },
        reason=_TEXT,
        error=_TEXT,
        note=_TEXT,
    )
    answer = _object(metric=_TEXT, rows={"type": "array", "items": row})
    answer["properties"]["rows"]["minItems"] = 2
    return {
        "operationId": "compare",
        "summary": "Which of several versions of a picture is best, as far as a metric can tell.",
        "requestBody": _body(form),
        "responses": _responses("A row for each picture, in their order.", answer),
    }


def _form(limits: Limits, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["images"],
        "properties": {
            "images": {"type": "array", "items": _FILE, "minItems": 1, "maxItems": limits.pictures},
            "reference": {**_FILE, "description": "Of all pictures, for full-reference metrics."},
            **properties,
        },
    }


def _body(form: Schema) -> Schema:
    return {"required": True, "content": {"multipart/form-data": {"schema": form}}}


def _responses(description: str, answer: Schema) -> Schema:
    whole = answer if answer["type"] == "object" else _object(rows=answer)
    return {"200": _answered(description, whole), **{status: _refused(text) for status, text in _REFUSALS.items()}}


def _answered(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refused(description: str) -> Schema:
    return _answered(description, {"$ref": "#/components/schemas/Refusal"})


def _refusal() -> Schema:
    reason = {"type": "string", "description": "A short, stable word."}
    return _object(error=_object(reason=reason, message=_TEXT))


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
