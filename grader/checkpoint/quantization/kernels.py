"""Checks a scheme against the contest's hardware: refused if no kernel exists, a notice if it is slow.

On a CPU, the engine has no kernel for quantized experts under any scheme.

Sources: supported-hardware table of the vLLM documentation; ``get_min_capability`` and the kernel lists of vLLM
0.32 (``model_executor/kernels/linear``); Marlin's group sizes and tiles (``marlin_utils.py``).
"""

from __future__ import annotations

from grader.checkpoint.architecture import Linears
from grader.checkpoint.finding import problem
from grader.checkpoint.quantization.fused import is_fused
from grader.checkpoint.quantization.plan import Plan
from grader.checkpoint.quantization.schemes import MARLIN_GROUPS, Scheme
from grader.contest import Hardware
from grader.problems.catalogue import Problem

_TURING, _AMPERE, _ADA, _HOPPER, _BLACKWELL = 7.5, 8.0, 8.9, 9.0, 10.0
_PACKED = ("pack", "gptq", "awq")


def find_kernel_problems(plan: Plan, linears: Linears, hardware: Hardware) -> list[Problem]:
    """Return one finding per code and scheme. The catalog distinguishes notices from refusals."""
    found: dict[tuple[str, str], Problem] = {}
    if plan.embedding and linears.embedding and not hardware.compute_capability:
        words = f"{hardware.name}: {plan.embedding.words} embedding"
        found["KERNEL_MISSING", words] = problem("KERNEL_MISSING", linears.embedding.name, words)
    for layer, scheme in plan.schemes.items():
        capability = hardware.compute_capability
        findings = _findings(scheme, *linears[layer], capability)
        if not capability and scheme.kind == "float":
            fused = is_fused(layer, linears)
            findings = (
                [("KERNEL_MISSING", m)] if (m := _missing_on_cpu(scheme, fused)) else findings
            )
        if not capability and ".experts." in layer:
            findings = [("KERNEL_MISSING", "experts")]
        for code, detail in findings:
            words = f"{hardware.name}: {scheme.words}"
            found.setdefault((code, words), problem(code, layer, f"{words} {detail}".strip()))
    return list(found.values())


def _findings(scheme: Scheme, rows: int, columns: int, capability: float) -> list[tuple[str, str]]:
    found = []
    if scheme.layout == "stored" and scheme.bits < 8:
        found.append(("KERNEL_NO_SAVING", ""))
    if scheme.layout == "pack" and scheme.inputs and scheme.input_kind == "int":
        found.append(("KERNEL_ACTIVATIONS", ""))
    if not capability:
        return found + _on_cpu(scheme, rows, columns)
    if missing := _missing(scheme, capability):
        return [*found, ("KERNEL_MISSING", missing)]
    eight_bit_float = scheme.kind == "float" and scheme.layout in ("stored", "fp8")
    if eight_bit_float and capability < _ADA:
        found.append(("KERNEL_FP8", f"{capability} < {_ADA}"))
    if scheme.layout in ("mx", "nvfp4") and scheme.inputs and capability < _BLACKWELL:
        found.append(("KERNEL_EMULATED", f"{capability} < {_BLACKWELL}"))
    if scheme.layout in _PACKED:
        if scheme.bits not in (4, 8):
            found.append(("KERNEL_UNSURE", f"{scheme.bits} bit"))
        if scheme.group_size not in MARLIN_GROUPS:
            found.append(("KERNEL_GROUP_SIZE", f"g{scheme.group_size}"))
        if (rows % 64 or columns % 128) and (rows % 128 or columns % 64):
            found.append(("KERNEL_TILE", f"{rows} × {columns}"))
    return found


def _missing(scheme: Scheme, capability: float) -> str:
    """Return why a GPU of this compute capability cannot run the scheme, or empty if it can."""
    if scheme.layout == "pack" and scheme.inputs and scheme.input_kind == "float":
        return "" if scheme.bits == 4 and capability == _HOPPER else f"{capability} ≠ {_HOPPER}"
    if scheme.layout == "stored" and scheme.bits < 8:
        return "CPU only"
    # FP8 arithmetic needs 8.9. Older GPUs unpack it with Marlin, which is only a notice.
    least = _AMPERE if scheme.layout == "mx" or _is_modelopt_fp8(scheme) else _TURING
    return f"{capability} < {least}" if capability < least else ""


def _is_modelopt_fp8(scheme: Scheme) -> bool:
    return scheme.modelopt and scheme.layout in ("stored", "fp8")


def _on_cpu(scheme: Scheme, rows: int, columns: int) -> list[tuple[str, str]]:
    if scheme.kind == "float":
        return [("KERNEL_FP8", "")]
    by_float = scheme.inputs and scheme.input_kind == "float"
    if scheme.layout in _PACKED and (scheme.bits != 4 or by_float):
        return [("KERNEL_MISSING", f"{scheme.bits} bit")]
    if scheme.layout in _PACKED and (rows % 32 or columns % 32):
        return [("KERNEL_MISSING", f"{rows} × {columns} % 32")]
    return []


def _missing_on_cpu(scheme: Scheme, fused: bool) -> str:
    """Return why a CPU cannot run a floating-point scheme, or empty if it can.

    With one scale per tensor, the parts of a fused layer are brought to one scale by an operator that the
    engine's CPU build lacks.
    """
    if scheme.layout in ("mx", "nvfp4"):
        return "GPU only"
    if scheme.strategy == "block":
        return "AMX"
    if not scheme.inputs:
        return "A16"
    if scheme.inputs == "static" and scheme.strategy == "channel":
        return "static × channel"
    return "per-tensor scales" if fused and scheme.strategy == "tensor" else ""
