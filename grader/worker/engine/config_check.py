"""Compares the settings an engine reports with the settings we intended.

vLLM lets a checkpoint's files override settings: one quantization method may replace another, and a config
may add a draft model. The checker refuses the known cases; this asks the engine after it has loaded.
Source: the line that vLLM prints at startup (``VllmConfig.__str__``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

LINE_BYTES = 16_384  # limit on how much of an engine's line is examined
START = re.compile(rb"Initializing a V1 LLM engine[^\n]*\n")
# Names vLLM uses for what a checkpoint calls by the first name.
TAKEN_OVER_BY: dict[str, tuple[str, ...]] = {
    "awq": ("awq", "awq_marlin", "auto_awq"),
    "gptq": ("gptq", "gptq_marlin", "auto_gptq"),
    "modelopt": ("modelopt", "modelopt_fp4", "modelopt_mxfp8"),
    "mxfp4": ("mxfp4", "gpt_oss_mxfp4"),
}
PLAIN = {"speculative_config": "None", "trust_remote_code": "False", "load_format": "safetensors"}


def find_deviation(line: bytes, folder: Path) -> str:
    """Return the first setting in the engine's ``line`` that differs from what ``folder`` (a canonical
    checkpoint) and our flags ask for, as ``name=value, not …``. Empty if all match or the engine printed no
    line.
    """
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
