"""The engine's command line and environment: what is pinned for everyone, and what depends on the device."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from grader.contest import Contest
from grader.worker.sandbox import cpu_affinity
from grader.worker.settings import Settings

# Never add these: --trust-remote-code, --enable-lora, --speculative-config, --enable-prompt-embeds.
PINNED = (
    "--served-model-name=graded",
    "--load-format=safetensors",
    "--config-format=hf",
    "--tokenizer-mode=hf",
    # Refuses a quantized checkpoint that leaves a weight uninitialized; without it vLLM starts and serves
    # noise. (vLLM 0.32 exempts unquantized linear layers: the checker is the first line of defense.)
    '--model-loader-extra-config={"enable_weights_track": true}',
    # With a prefix cache, the second round of the same prompts would skip the prefill.
    "--no-enable-prefix-caching",
    "--disable-log-stats",
    "--disable-uvicorn-access-log",
)

_PASSED_ON = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NVIDIA_VISIBLE_DEVICES",
)


def arguments(model: Path, uds: Path, contest: Contest, settings: Settings) -> tuple[str, ...]:
    """Return all arguments of the engine's command. The tokenizer and templates are always the organizer's."""
    organiser, engine = contest.base_folder, contest.engine
    utilization = engine.gpu_memory_utilization
    if settings.device == "cuda" and contest.speed.pairing == "side_by_side":
        utilization /= 2  # base model and candidate share the GPU
    # Pinned, so that a checkpoint cannot request a smaller KV cache.
    kv_cache_dtype = engine.dtype if engine.dtype != "float32" else "auto"
    own = (
        f"--uds={uds}",
        f"--model={model}",
        f"--tokenizer={organiser}",
        f"--generation-config={organiser}",
        f"--dtype={engine.dtype}",
        f"--kv-cache-dtype={kv_cache_dtype}",
        f"--max-model-len={engine.max_model_len}",
        f"--max-num-seqs={engine.max_num_seqs}",
        f"--max-num-batched-tokens={engine.max_num_batched_tokens}",
        f"--gpu-memory-utilization={utilization:g}",
        f"--seed={engine.seed}",
    )
    optional = []
    if engine.tensor_parallel > 1:
        optional.append(f"--tensor-parallel-size={engine.tensor_parallel}")
    # Without such a file, the template is in tokenizer_config.json (as in repositories of 2024), and the engine
    # reads it there. The engine exits if a named file is missing.
    if (template := organiser / "chat_template.jinja").is_file():
        optional.append(f"--chat-template={template}")
    if settings.kv_cache_bytes:
        optional.append(f"--kv-cache-memory-bytes={settings.kv_cache_bytes}")
    if settings.enforce_eager:
        optional.append("--enforce-eager")
    return (*own, *PINNED, *optional)


def published(flags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags for the report, without those that only name folders on this machine."""
    local = ("--uds=", "--model=", "--tokenizer=", "--chat-template=", "--generation-config=")
    return tuple(flag for flag in flags if not flag.startswith(local))


def inputs(model: Path, contest: Contest, settings: Settings) -> tuple[Path, ...]:
    """Return what the engine may read besides the system: this model, the organizer's files, its own
    program."""
    program = tuple(Path(part) for part in settings.engine if part.startswith("/"))
    return (model, contest.base_folder, *(path for path in program if path.is_file()))


def environment(scratch: Path, settings: Settings) -> dict[str, str]:
    """Return the engine's whole environment. Only the names in ``_PASSED_ON`` are inherited."""
    home = scratch / "home"
    variables = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(scratch / "tmp"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "HF_HOME": str(home / "huggingface"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_PLUGINS": "",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }
    if settings.device == "cpu":
        variables |= _cpu(settings)
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed, **variables}


def _cpu(settings: Settings) -> dict[str, str]:
    variables = {
        # Keep the weights in the engine's own process, as on a GPU. On a CPU, vLLM would start another process
        # for them, which doubles the startup time and leaves two processes spinning while they wait for each
        # other.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(cpu_affinity.compute_threads(settings)),
    }
    if settings.enforce_eager:
        # even then, vLLM compiles a helper for log-probabilities: 20 s in the first request
        variables["TORCHDYNAMO_DISABLE"] = "1"
    return variables
