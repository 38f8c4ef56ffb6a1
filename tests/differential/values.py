"""What the engine makes of packed values, in a process of its own: ``python -m tests.differential.values``.

One layer each of GPTQ with the zeros of both conventions, and of AWQ with and without zero points, is filled
with known numbers and multiplied with an identity matrix. Prints, as JSON, whether the numbers come back.
"""

from __future__ import annotations

import json
import os
from typing import Any

from grader.gallery.quantised import AWQ, GPTQ
from tests.differential.engine import _config, _engine
from tests.differential.ours import Case, for_engine, judge

NAME = "model.layers.0.mlp.down_proj"
BITS, PER_WORD = 4, 8
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def main() -> None:
    out = os.dup(1)  # the engine logs to standard output
    os.dup2(2, 1)
    with _engine(), os.fdopen(out, "w") as answer:
        found = {
            "gptq, zeros stored as 7": _comes_back(GPTQ, zero=8, stored=7),
            "gptq, zeros stored as 8": _comes_back(GPTQ, zero=8, stored=8),
            "awq": _comes_back(AWQ, zero=5, stored=5),
            "awq, symmetric": _comes_back({**AWQ, "zero_point": False}, zero=8, stored=8),
        }
        json.dump(found, answer)


def _comes_back(quantization: dict[str, Any], zero: int, stored: int) -> bool:
    """Whether the layer holds (value - ``zero``) x scale where ``stored`` is what its zeros say."""
    import torch
    from vllm.model_executor.layers.linear import RowParallelLinear

    case = Case("values", quantization)
    config = _config(for_engine(case, judge(case)[1]))
    rows, columns = case.linears()[NAME]
    layer = RowParallelLinear(
        columns, rows, bias=False, quant_config=config, prefix=NAME, params_dtype=torch.bfloat16
    )
    groups, size = columns // quantization["group_size"], quantization["group_size"]
    values = torch.randint(0, 16, (columns, rows), generator=torch.Generator().manual_seed(0))
    scales = 2.0 ** -(torch.arange(groups * rows) % 5).reshape(groups, rows)
    zeros = torch.full((groups, rows), stored)
    is_awq = quantization["quant_method"] == "awq"
    layer.qweight.data.copy_(_packed(values, AWQ_ORDER) if is_awq else _packed(values.T).T)
    layer.qzeros.data.copy_(_packed(zeros, AWQ_ORDER if is_awq else range(PER_WORD)))
    layer.scales.data.copy_(scales)
    layer.quant_method.process_weights_after_loading(layer)
    found = layer.quant_method.apply(layer, torch.eye(columns, dtype=torch.bfloat16))
    expected = (values - zero) * scales.repeat_interleave(size, 0)  # exact in bfloat16
    return bool((found.float() == expected.float()).all())


def _packed(values: Any, order: Any = range(PER_WORD)) -> Any:
    """Eight values of a row in a 32-bit word, the first in its lowest bits."""
    import torch

    nibbles = values.reshape(values.shape[0], -1, PER_WORD)[:, :, list(order)].to(torch.int64)
    shifts = BITS * torch.arange(PER_WORD)
    return (nibbles << shifts).sum(-1).to(torch.uint32).view(torch.int32)


if __name__ == "__main__":
    main()
