"""``quantization_config`` of AWQ: one scheme for all layers but those that are named or not packed.

Sources: ``AutoAWQConfig`` of vLLM 0.32; ``AwqConfig`` of transformers.
"""

from __future__ import annotations

from collections.abc import Collection

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import refuse
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.fused import EXPERTS, all_or_none, units
from grader.checkpoint.quantization.reading import WHERE, Reading, layer_names, refuse_padded_head
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.strictjson import Json

_READ = frozenset({
    "quant_method", "bits", "w_bit", "group_size", "q_group_size", "zero_point", "lm_head",
    "modules_to_not_convert",
})  # fmt: skip
_BOOKKEEPING = frozenset({
    "version", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "backend", "exllama_config",
})  # fmt: skip
_MAX_GROUP = 1 << 16


def read_awq(config: Json, linears: Linears, held: Collection[str]) -> Reading:
    """A name that is skipped is part of a layer's name; without any, the engine looks at the tensors.

    Symmetric files hold zero points as all others do. The engine would take them for another type, without a
    fast kernel on a GPU and without the zero points on a CPU, so it is told that they are there.
    """
    unread: list[str] = []
    fields = Fields(config, WHERE, _READ | _BOOKKEEPING, unread)
    bits = fields.integer("w_bit", 1, 8, fields.integer("bits", 1, 8, 4))
    version = fields.text("version").lower() or "gemm"
    if bits != 4 or version != "gemm":
        raise refuse("QUANT_UNSUPPORTED", WHERE, f"awq, {bits}, {version}")
    key = "q_group_size" if config.get("q_group_size") is not None else "group_size"
    size = fields.integer(key, -1, _MAX_GROUP, 128)
    if size == 0:
        raise refuse("QUANT_RANGE", f"{WHERE}.{key}", 0)
    fields.boolean("zero_point", True)
    skipped = layer_names(config.get("modules_to_not_convert"))
    by_tensors = not skipped and any(name.endswith(".qweight") for name in held)
    head = fields.boolean("lm_head", False)

    def chosen(layer: str) -> bool:
        return f"{layer}.qweight" in held if by_tensors else not any(n in layer for n in skipped)

    grouping, group = ("group", size) if size > 0 else ("channel", 0)
    scheme = Scheme("awq", 4, "int", grouping, group, symmetric=False)
    schemes: dict[str, Scheme] = {}
    dense: list[str] = []
    experts: list[str] = []  # that are dense, which the engine must be told by their common name
    for unit in units(linears):
        if unit.layers == (HEAD,) and not head:
            continue
        if all_or_none(unit, [chosen(layer) for layer in unit.layers]):
            schemes |= dict.fromkeys(unit.layers, scheme)
        elif unit.class_name == EXPERTS:
            experts.append(unit.layers[0].rpartition(".experts.")[0] + ".experts")
        else:
            dense += unit.layers
    canonical: Json = {"quant_method": "awq", "bits": 4, "group_size": size, "zero_point": True}
    untold = [name for name in experts if not any(part in name for part in skipped)]
    if skipped or untold:
        canonical["modules_to_not_convert"] = [*(skipped or dense), *untold]
    if HEAD in schemes:
        refuse_padded_head(linears)
        canonical["lm_head"] = True
    return Reading(schemes, canonical, tuple(unread))
