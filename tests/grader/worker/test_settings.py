import os
import sys
from pathlib import Path

import pytest

from grader.worker.settings import DEFAULT_ENGINE, Settings, SettingsError


def test_nothing_set_gives_usable_defaults():
    settings = Settings.from_env({})
    assert settings.device in ("cpu", "cuda")
    assert (
        settings.engine
        == DEFAULT_ENGINE
        == (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
    )
    assert settings.sandbox == "auto"
    assert settings.name


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            "GRADER_SITE_URL": "https://board.example/",
            "GRADER_TOKEN": "secret",
            "GRADER_NAME": "gpu-1",
            "GRADER_DEVICE": "cuda",
            "GRADER_SCRATCH": "/scratch",
            "GRADER_CACHE": "/cache",
            "GRADER_CONTESTS": os.pathsep.join(["/a", "/b"]),
            "GRADER_BASE_MODELS": "/models",
            "GRADER_SANDBOX": "namespace",
            "GRADER_ENGINE": "python 'my engine.py' --flag",
            "GRADER_ENFORCE_EAGER": "yes",
            "GRADER_KV_CACHE_BYTES": "123",
            "GRADER_CPU_THREADS": "3",
            "GRADER_MEMORY_BYTES": "456",
            "GRADER_FETCH_AHEAD": "0",
            "GRADER_BASE_ENGINE_GRADES": "7",
            "GRADER_BASE_ENGINE_IDLE_S": "8.5",
            "REDIS_URL": "redis://broker/1",
            "GRADER_QUALITY_TIMEOUT_S": "1",
            "GRADER_SPEED_TIMEOUT_S": "2",
            "GRADER_SILENCE_S": "3",
            "GRADER_HTTP_TIMEOUT_S": "4.5",
        }
    )
    assert settings == Settings(
        site_url="https://board.example",
        token="secret",
        name="gpu-1",
        device="cuda",
        scratch=Path("/scratch"),
        cache=Path("/cache"),
        contests=(Path("/a"), Path("/b")),
        base_models=Path("/models"),
        sandbox="namespace",
        engine=("python", "my engine.py", "--flag"),
        enforce_eager=True,
        kv_cache_bytes=123,
        cpu_threads=3,
        memory_bytes=456,
        fetch_ahead=False,
        base_engine_grades=7,
        base_engine_idle_s=8.5,
        redis_url="redis://broker/1",
        quality_timeout_s=1.0,
        speed_timeout_s=2.0,
        silence_s=3.0,
        http_timeout_s=4.5,
    )


def test_cuda_compiles_and_lets_the_contest_size_the_kv_cache():
    cpu, cuda = (Settings.from_env({"GRADER_DEVICE": device}) for device in ("cpu", "cuda"))
    assert (cpu.enforce_eager, cpu.kv_cache_bytes) == (True, 1 << 30)
    assert (cuda.enforce_eager, cuda.kv_cache_bytes) == (False, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRADER_DEVICE", "tpu"),
        ("GRADER_SANDBOX", "strong"),
        ("GRADER_ENFORCE_EAGER", "maybe"),
        ("GRADER_SILENCE_S", "soon"),
        ("GRADER_SILENCE_S", "-1"),
        ("GRADER_SILENCE_S", "inf"),
        ("GRADER_ENGINE", "python 'unclosed"),
    ],
)
def test_a_bad_value_names_its_variable(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_the_token_is_not_in_the_repr():
    assert "secret" not in repr(Settings(token="secret"))


def test_every_field_names_its_variable_in_the_documentation():
    documentation = Settings.__doc__
    for field in Settings.__dataclass_fields__:
        assert f"{field}: ``" in documentation, field


@pytest.mark.parametrize("name", ["GRADER_TOKEN", "HF_TOKEN"])
@pytest.mark.parametrize("value", ["two words", "CommandError:\nTraceback", "토큰"])
def test_a_token_is_one_word(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})
    assert Settings.from_env({name: " pbw_token\n"})
