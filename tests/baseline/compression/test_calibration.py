from __future__ import annotations

import json

import pytest

from baseline.compression.calibration import read, token_ids
from baseline.compression.recipe import Data
from baseline.terminal.errors import CliError

TURN = {"role": "user", "content": "안녕"}


def write(path, *rows):
    path.write_text(
        "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8"
    )
    return str(path)


def test_rows_of_every_kind_and_the_slice(tmp_path):
    source = write(
        tmp_path / "d.jsonl", {"text": "skipped"}, {"messages": [TURN]}, "", {"conversations": [TURN]},
        {"text": "plain"}, {"text": "too many"},
    )  # fmt: skip
    found = read(source, Data(samples=3, skip=1))
    assert found.samples == [[TURN], [TURN], "plain"]


def test_the_digest_is_of_the_content_not_of_the_file(tmp_path):
    one = read(write(tmp_path / "a.jsonl", {"messages": [TURN], "id": 1}), Data())
    two = read(write(tmp_path / "b.jsonl", {"conversations": [{**TURN, "x": 0}]}), Data())
    other = read(write(tmp_path / "c.jsonl", {"text": "안녕"}), Data())
    assert one.sha256 == two.sha256 != other.sha256


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["{half"], "line 1 is not JSON"),
        (
            [{"text": "a"}, {"question": "?", "answer": "!"}],
            "row 2 holds no conversation. Its columns: question, answer.",
        ),
        ([{"messages": [{"role": "user"}]}], "row 1 holds no conversation"),
        ([[1, 2]], "row 1 holds no conversation"),
        ([], "has no row"),
    ],
)
def test_wrong_data_is_named_by_its_row(tmp_path, rows, words):
    with pytest.raises(CliError, match=words):
        read(write(tmp_path / "d.jsonl", *rows), Data())


def test_a_file_in_another_encoding_is_said_by_its_line(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + '{"text": "안녕"}\n'.encode("cp949"))
    with pytest.raises(CliError, match="line 2 is not UTF-8"):
        read(str(path), Data())


def test_a_missing_file_is_not_looked_for_on_the_hub(tmp_path):
    with pytest.raises(CliError) as caught:
        read(str(tmp_path / "none.jsonl"), Data())
    assert caught.value.code == "DATA_NOT_FOUND"


def test_conversations_go_through_the_chat_template_and_text_does_not():
    class Tokenizer:
        def apply_chat_template(self, turns, add_generation_prompt, tokenize):
            assert (add_generation_prompt, tokenize) == (True, False)
            return "<" + turns[0]["content"] + ">"

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [ord(c) for c in text]}

    rows = token_ids(Tokenizer(), [[{"role": "user", "content": "abcdef"}], "xy", ""], 4)
    assert ["".join(map(chr, row)) for row in rows] == ["<abc", "xy"]
