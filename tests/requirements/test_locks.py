"""Every lock can be installed from the package index alone, and vLLM for CUDA accepts a GPU worker's flags."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader.contest import find, load
from grader.worker.engine import flags
from grader.worker.settings import Settings
from requirements import install, lock

ROOT = Path(__file__).resolve().parent.parent.parent
PIP = [sys.executable, "-m", "pip"]


def pins(name: str) -> list[str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
    return [line for line in lines if "==" in line]


def run(arguments: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="module")
def torch_for_cpu(tmp_path_factory):
    """A folder with only torch's CPU build, where the installer finds it."""
    folder = tmp_path_factory.mktemp("torch")
    (pin,) = [pin for pin in pins("dev") if pin.startswith("torch==")]
    argv = [*PIP, "download", "-qq", "--no-deps", "--dest", str(folder), pin]
    done = run(argv)
    if done.returncode:
        done = run([*argv, "--index-url", install.TORCH_CPU_INDEX])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.registry
@pytest.mark.parametrize("name", sorted(lock.ENVIRONMENTS))
def test_lock_can_be_installed_from_the_index_alone(name, torch_for_cpu, tmp_path):
    """The pins agree with each other and with the packages' requirements; checked without downloads."""
    environment = lock.from_the_index_alone(tmp_path)
    if any(pin.endswith("+cpu") for pin in pins(name)):
        environment["PIP_FIND_LINKS"] = str(torch_for_cpu)
    argv = [*PIP, "install", "-qq", "--dry-run", "--ignore-installed", "--only-binary", ":all:"]
    argv += ["--no-binary", install.SOURCE_ONLY, "--requirement", f"requirements/{name}.txt"]
    done = run(argv, env=environment, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_locks_for_a_cpu_pin_the_build_for_a_cpu_and_the_lock_for_cuda_no_other_than_cuda():
    torch = {
        name: [pin for pin in pins(name) if pin.startswith("torch=")] for name in _with_torch()
    }
    assert set(torch) == {"baseline", "demo", "dev", "grader-cpu", "grader-cuda"}
    version = torch.pop("grader-cuda")[0].removeprefix("torch===")
    assert re.fullmatch(r"[\d.]+", version)
    assert {tuple(found) for found in torch.values()} == {(f"torch=={version}+cpu",)}
    assert any(pin.startswith("nvidia-cudnn") for pin in pins("grader-cuda"))


def _with_torch() -> list[str]:
    return [name for name in lock.ENVIRONMENTS if any(p.startswith("torch=") for p in pins(name))]


# vLLM for CUDA cannot load its kernels without the CUDA libraries. Its argument parser needs none of them, but
# its platform class, which provides the defaults, imports two of them by name.
PARSE = """
import json, runpy, sys, types
for name in ("_C_stable_libtorch", "_qutlass_C"):
    sys.modules[f"vllm.{name}"] = types.ModuleType(name)
from vllm import platforms
from vllm.platforms import cuda
platforms.current_platform = cuda.NonNvmlCudaPlatform()
from vllm.utils.argparse_utils import FlexibleArgumentParser

class Parsed(Exception):
    pass

def parse(self, *arguments, **more):
    raise Parsed(plain(self, *arguments, **more))

plain, FlexibleArgumentParser.parse_args = FlexibleArgumentParser.parse_args, parse
try:
    runpy.run_module(sys.argv[1], run_name="__main__")
except Parsed as parsed:
    found = vars(parsed.args[0])
    print(json.dumps({"platform": platforms.current_platform.device_type, "at": platforms.__file__,
                      **{name: str(value) for name, value in found.items()}}))
"""


@pytest.fixture(scope="module")
def vllm_for_cuda(tmp_path_factory):
    """The Python files of the wheel that the CUDA lock names."""
    folder = tmp_path_factory.mktemp("cuda")
    (pin,) = [pin for pin in pins("grader-cuda") if pin.startswith("vllm==")]
    argv = [*PIP, "download", "-qq", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    done = run([*argv, pin], env=lock.from_the_index_alone(folder))
    assert (done.returncode, done.stderr) == (0, "")
    (wheel,) = folder.glob("vllm-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        members = [name for name in packed.namelist() if name.endswith((".py", ".json"))]
        packed.extractall(folder / "site", members)
    wheel.unlink()
    return folder / "site"


@pytest.mark.registry
@pytest.mark.parametrize("contest", ["demo", "aimers8"])
def test_vllm_for_cuda_parses_the_flags_of_a_gpu_worker(contest, vllm_for_cuda, tmp_path):
    settings = Settings.from_env({"GRADER_DEVICE": "cuda"})
    _python, _m, module = settings.engine
    rules = load(find(contest))
    given = flags.arguments(tmp_path / "model", tmp_path / "socket", rules, settings)
    done = run(
        [sys.executable, "-c", PARSE, module, *given],
        env={"PYTHONPATH": str(vllm_for_cuda), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parsed = json.loads(done.stdout.splitlines()[-1])
    assert parsed["platform"] == "cuda"
    assert parsed["at"].startswith(str(vllm_for_cuda))
    assert parsed["uds"] == str(tmp_path / "socket")
    assert parsed["max_model_len"] == str(rules.engine.max_model_len)
    assert parsed["enable_prefix_caching"] == "False"


@pytest.mark.registry
def test_a_flag_that_vllm_for_cuda_does_not_know_would_be_seen(vllm_for_cuda, tmp_path):
    argv = [sys.executable, "-c", PARSE, Settings().engine[-1], "--no-such-flag=1"]
    done = run(argv, env={"PYTHONPATH": str(vllm_for_cuda), "HOME": str(tmp_path)}, cwd=tmp_path)
    assert done.returncode == 2
    assert "unrecognized arguments: --no-such-flag" in done.stderr
