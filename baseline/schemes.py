"""The quantisation schemes a recipe may name, and what each asks of a model and of a GPU.

Names are those of compressed-tensors' presets. The capabilities are those of vLLM's kernels: below
``min_capability`` the engine refuses to load the checkpoint or has no kernel for it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scheme:
    """One preset.

    Attributes:
        bits: of a stored weight.
        group_size: columns that share one scale; 0: one scale per output channel (any width fits).
        static_activations: activation scales are measured, so calibration data is needed.
        min_capability: least CUDA compute capability with a kernel.
        on_cpu: vLLM's CPU build can run it.
    """

    bits: int
    group_size: int
    static_activations: bool
    min_capability: float
    on_cpu: bool


SCHEMES: dict[str, Scheme] = {
    "W4A16": Scheme(4, 128, False, 7.5, True),
    "W4A16_ASYM": Scheme(4, 128, False, 7.5, True),
    "W8A16": Scheme(8, 128, False, 7.5, True),
    "W8A8": Scheme(8, 0, False, 7.5, True),
    "W4A8": Scheme(4, 128, False, 9.0, False),
    "FP8": Scheme(8, 0, True, 8.9, True),
    "FP8_DYNAMIC": Scheme(8, 0, False, 8.9, True),
}

# Group sizes with a fast kernel on GPUs (Marlin); others load at best on a slow path.
FAST_GROUP_SIZES = (128, 64, 32)
