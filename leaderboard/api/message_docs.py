"""OpenAPI schemas for messages whose fields are declared in :mod:`grader.protocol`."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter


def body_of(message: type) -> dict[str, Any]:
    """``openapi_extra`` for an operation that takes such a message as its JSON body."""
    schema = TypeAdapter(message).json_schema()
    definitions = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inlined(schema, definitions)}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Inline every reference, because a message's own definitions are not part of the API's schema."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
