"""Log records carry the ids of the current work, as text for people and as fields for machines."""

from __future__ import annotations

import json
import logging
import logging.config

import pytest

from grader import logs


@pytest.fixture
def emit(capsys):
    """``emit(format)`` configures a separate logger and returns how a message is written."""

    def write(format_name, *message, level=logging.INFO, **extra):
        config = logs.config(format_name, "INFO")
        config["loggers"] = {
            "tested": {"handlers": ["console"], "level": "INFO", "propagate": False}
        }
        del config["root"]
        logging.config.dictConfig(config)
        logging.getLogger("tested").log(level, *message, **extra)
        return capsys.readouterr().err

    yield write
    logs.clear()


def test_line_names_the_ids_before_the_message(emit):
    with logs.bound(submission=12, attempt=2):
        assert emit("line", "round %d", 4).endswith(
            "INFO tested [submission=12 attempt=2] round 4\n"
        )
    assert emit("line", "idle").endswith("INFO tested idle\n")


def test_json_has_exactly_the_fields_that_are_documented(emit):
    with logs.bound(submission=12, evaluation=40, attempt=2):
        record = json.loads(emit("json", "점수 %s", "0.6"))
    assert record.pop("time")
    assert record == {
        "level": "INFO",
        "logger": "tested",
        "message": "점수 0.6",
        "submission": 12,
        "evaluation": 40,
        "attempt": 2,
    }


def test_json_is_one_line_whatever_is_logged(emit):
    text = emit("json", 'a "quoted"\nsecond line', level=logging.ERROR)
    assert text.count("\n") == 1
    assert json.loads(text)["message"] == 'a "quoted"\nsecond line'


def test_inner_ids_end_with_their_block():
    with logs.bound(submission=1):
        with logs.bound(attempt=3):
            pass
        record = logging.makeLogRecord({})
        logs.Context().filter(record)
    assert record.about == "[submission=1] "


def test_unknown_id_and_unknown_format_are_refused():
    with pytest.raises(TypeError, match="password"):
        logs.bind(password="x")
    with pytest.raises(ValueError, match="LOG_FORMAT must be one of line, json"):
        logs.config("xml", "INFO")
