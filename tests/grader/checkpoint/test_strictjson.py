"""What Python's json would accept, and what would crash it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checkpoint import strictjson
from grader.checkpoint.finding import Refused


def code(data: bytes, limit_bytes: int = strictjson.MAX_BYTES) -> str:
    try:
        strictjson.loads(data, "x.json", limit_bytes)
    except Refused as refusal:
        (found,) = refusal.problems
        assert found.where == "x.json"
        return found.code
    return ""


@pytest.mark.parametrize(
    "data", [b"{}", b' {"a": [1, 2.5, null, true, "\xea\xb0\x80"]}\n', b'{"a": -18446744073709551}']
)
def test_plain_objects_are_read(data: bytes) -> None:
    assert strictjson.loads(data, "x.json") == json.loads(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1, "a": 1}', "JSON_DUPLICATE_KEY"),
        (b'{"a": {"b": 1, "b": 2}}', "JSON_DUPLICATE_KEY"),
        (b'{"a": NaN}', "JSON_NUMBER"),
        (b'{"a": [-0]}', "JSON_NUMBER"),
        (b'{"a": -Infinity}', "JSON_NUMBER"),
        (b'{"a": 1e999}', "JSON_NUMBER"),
        (b'{"a": 123456789012345678901}', "JSON_NUMBER"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON_NUMBER"),
        (b"\xef\xbb\xbf{}", "JSON_SYNTAX"),
        (b"{} x", "JSON_SYNTAX"),
        (b"[1]", "JSON_SYNTAX"),
        (b"null", "JSON_SYNTAX"),
        (b'{"a": "\\udc00"}', "JSON_SYNTAX"),
        (b'{"\\udc00": 1}', "JSON_SYNTAX"),
        (b'{"a": "\xc3\x28"}', "JSON_SYNTAX"),
        (b"", "JSON_SYNTAX"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "JSON_TOO_DEEP"),
        (b"[" * 200_000, "JSON_TOO_DEEP"),
        (b"{" + b" " * strictjson.MAX_BYTES + b"}", "JSON_TOO_LARGE"),
    ],
)
def test_refused(data: bytes, expected: str) -> None:
    started = time.monotonic()
    assert code(data) == expected
    assert time.monotonic() - started < 1


def test_depth_of_the_limit_is_allowed() -> None:
    assert code(b'{"a":' * 31 + b"{}" + b"}" * 31) == ""


def test_messages_carry_no_control_characters() -> None:
    with pytest.raises(Refused) as caught:
        strictjson.loads(b'{"\\u202e\\u0000": 1, "\\u202e\\u0000": 2}', "x.json")
    assert caught.value.problems[0].detail.isprintable()


@given(st.binary(max_size=300))
def test_any_bytes_give_an_object_or_a_code(data: bytes) -> None:
    code(data)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), _values, max_size=6))
def test_what_json_writes_is_read_back(value: dict[str, object]) -> None:
    assert strictjson.loads(json.dumps(value).encode(), "x.json") == value
    assert strictjson.loads(strictjson.dump(value), "x.json") == value


# Objects as lists of pairs, so that a key can occur twice; keys and strings contain what may confuse a count.
_keys = st.sampled_from(["a", "b", ":", "a:b", "{", '":1,"a"', "\\", "é"])
_pairs = st.recursive(
    st.integers(-9, 10**19) | _keys,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: ("list", items))
        | st.lists(st.tuples(_keys, inner), max_size=3).map(lambda pairs: ("dict", pairs))
    ),
    max_leaves=12,
)


def _text(value: object, escaped: bool) -> str:
    match value:
        case ("list", items):
            return f"[{','.join(_text(item, escaped) for item in items)}]"
        case ("dict", pairs):
            parts = (f"{_text(key, escaped)} :{_text(item, escaped)}" for key, item in pairs)
            return f"{{{', '.join(parts)}}}"
    return json.dumps(value, ensure_ascii=escaped)


def _has_twins(value: object) -> bool:
    match value:
        case ("list", items):
            return any(map(_has_twins, items))
        case ("dict", pairs):
            keys = [key for key, _ in pairs]
            return len(set(keys)) < len(keys) or any(_has_twins(item) for _, item in pairs)
    return False


@given(st.lists(st.tuples(_keys, _pairs), max_size=4).map(lambda p: ("dict", p)), st.booleans())
def test_a_key_that_stands_twice_is_found_wherever_it_is(value: object, escaped: bool) -> None:
    expected = "JSON_DUPLICATE_KEY" if _has_twins(value) else ""
    assert code(_text(value, escaped).encode()) == expected
