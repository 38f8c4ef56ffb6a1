"""What OpenAPI says of a message whose fields are declared by :mod:`grader.protocol`, for both sides."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter


def body_of(message: type) -> dict[str, Any]:
    """``openapi_extra`` of a call that takes such a message as its JSON body."""
    schema = TypeAdapter(message).json_schema()
    definitions = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inlined(schema, definitions)}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """With each reference replaced by what it means: a message's own definitions are no part of the API's."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}
