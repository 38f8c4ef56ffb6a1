"""The quantization schemes a recipe may name: what each requires of a model, and how the checker will see
it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from grader.checkpoint.quantization.schemes import Scheme as Stored


@dataclass(frozen=True, slots=True)
class Scheme:
    """One preset of compressed-tensors.

    Attributes:
        stored: the scheme as the checker reads it back; it knows which hardware has a kernel.
        static_activations: activation scales are measured, so calibration data is needed.
    """

    stored: Stored

    @property
    def group_size(self) -> int:
        """Return columns per scale; 0 means one scale per output channel (any width fits)."""
        return self.stored.group_size

    @property
    def static_activations(self) -> bool:
        return self.stored.inputs == "static"

    def of_groups(self, group_size: int) -> Stored:
        """Return a copy with another group size; 0 keeps the scheme's own."""
        return replace(self.stored, group_size=group_size) if group_size else self.stored


SCHEMES: dict[str, Scheme] = {
    "W4A16": Scheme(Stored("pack", 4, "int", "group", 128)),
    "W4A16_ASYM": Scheme(Stored("pack", 4, "int", "group", 128, symmetric=False)),
    "W8A16": Scheme(Stored("pack", 8, "int", "group", 128)),
    "W8A8": Scheme(
        Stored("stored", 8, "int", "channel", inputs="dynamic", input_bits=8, input_kind="int")
    ),
    "W4A8": Scheme(
        Stored("pack", 4, "int", "group", 128, inputs="dynamic", input_bits=8, input_kind="int")
    ),
    "FP8": Scheme(Stored("stored", 8, "float", "tensor", inputs="static", input_bits=8)),
    "FP8_DYNAMIC": Scheme(Stored("stored", 8, "float", "channel", inputs="dynamic", input_bits=8)),
}

# Group sizes with a fast kernel on GPUs (Marlin); others at best run slowly.
FAST_GROUP_SIZES = (128, 64, 32)
