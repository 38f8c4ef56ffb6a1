"""What an engine says it made of its flags and its checkpoint, against what was meant.

vLLM lets a checkpoint's own files choose: a quantization method may be taken over by another, a config may
bring a draft model. The checker refuses what is known of that; this asks the engine, after the load.
Source: the line that vLLM prints at its start (``VllmConfig.__str__``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

LINE_BYTES = 16_384  # no more of an engine's line is looked at
START = re.compile(rb"Initializing a V1 LLM engine[^\n]*\n")
# Names under which vLLM serves what a checkpoint calls by the first one.
TAKEN_OVER_BY: dict[str, tuple[str, ...]] = {
    "awq": ("awq", "awq_marlin", "auto_awq"),
    "gptq": ("gptq", "gptq_marlin", "auto_gptq"),
}
PLAIN = {"speculative_config": "None", "trust_remote_code": "False", "load_format": "safetensors"}


def find_deviation(line: bytes, folder: Path) -> str:
    """The first setting in the engine's ``line`` that is not what ``folder`` (a canonical checkpoint) and our
    flags ask for, as ``name=value, not …``; empty if all is as meant, or the engine did not say."""
    if not line:
        return ""
    text = line.decode("utf-8", "replace")
    quantization = json.loads((folder / "config.json").read_text()).get("quantization_config") or {}
    method = quantization.get("quant_method", "None")
    meant: dict[str, tuple[str, ...]] = {name: (value,) for name, value in PLAIN.items()}
    meant["quantization"] = TAKEN_OVER_BY.get(method, (method,))
    for name, allowed in meant.items():
        said = re.search(rf"\b{name}=([^,\s]+)", text)
        if said and said[1] not in allowed:
            return f"{name}={said[1][:60]}, not {' or '.join(allowed)}"
    return ""
