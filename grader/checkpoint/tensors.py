"""The expected tensor table: every name, shape and dtype that follows from a config, before any file is opened.

The engine would notice a missing tensor of an unquantised model, not of a quantised one, and never one too
many. So the table is computed here and compared with the headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from grader.checkpoint.config import Shape
from grader.checkpoint.finding import problem, several
from grader.checkpoint.quantization.schemes import DENSE, FLOATS, Expected, Scheme
from grader.problems.catalogue import Problem
from grader.protocol.documents import Tensor

Linears = Mapping[str, tuple[int, int]]
"""Linear layer -> (rows, columns) = (outputs, inputs) of its weight."""

EMBEDDING, HEAD = "model.embed_tokens", "lm_head"


def exaone4_linears(shape: Shape) -> Linears:
    """The decoder's linear layers. Source: ``Exaone4Attention`` and ``Exaone4MLP`` of transformers 5.19."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    one = {
        "self_attn.q_proj": (queries, shape.hidden),
        "self_attn.k_proj": (keys, shape.hidden),
        "self_attn.v_proj": (keys, shape.hidden),
        "self_attn.o_proj": (shape.hidden, queries),
        "mlp.gate_proj": (shape.intermediate, shape.hidden),
        "mlp.up_proj": (shape.intermediate, shape.hidden),
        "mlp.down_proj": (shape.hidden, shape.intermediate),
    }
    layers = range(shape.layers)
    return {f"model.layers.{i}.{name}": size for i in layers for name, size in one.items()}


def exaone4_norms(shape: Shape) -> dict[str, int]:
    """Norms by length; never quantised. EXAONE 4 has them per head on queries and keys, and after blocks."""
    one = {
        "self_attn.q_norm": shape.head_dim,
        "self_attn.k_norm": shape.head_dim,
        "post_attention_layernorm": shape.hidden,
        "post_feedforward_layernorm": shape.hidden,
    }
    layers = range(shape.layers)
    norms = {f"model.layers.{i}.{name}": size for i in layers for name, size in one.items()}
    return norms | {"model.norm": shape.hidden}


Architecture = tuple[Callable[[Shape], Linears], Callable[[Shape], dict[str, int]]]
ARCHITECTURES: dict[str, Architecture] = {"Exaone4ForCausalLM": (exaone4_linears, exaone4_norms)}


@lru_cache(maxsize=64)
def linear_layers(architecture: str, shape: Shape) -> Linears:
    """Linear layers of the decoder, and ``lm_head`` unless it is tied. Shared: not to be changed."""
    head = {} if shape.tied else {HEAD: (shape.vocab, shape.hidden)}
    return {**ARCHITECTURES[architecture][0](shape), **head}


@lru_cache(maxsize=64)
def dense_tensors(architecture: str, shape: Shape) -> Mapping[str, Expected]:
    """The table of an unquantised checkpoint, which most of a contest's share. Not to be changed."""
    return expected_tensors(architecture, shape, linear_layers(architecture, shape), {})


def expected_tensors(
    architecture: str,
    shape: Shape,
    linears: Linears,
    schemes: Mapping[str, Scheme],
    kv_scales: bool = False,
) -> Mapping[str, Expected]:
    """The table. ``schemes`` holds the quantised layers; ``kv_scales`` admits unused KV-cache scales."""
    table: dict[str, Expected] = {}
    alike: dict[tuple[int, int, int], dict[str, Expected]] = {}  # layers of all blocks
    for layer, (rows, columns) in linears.items():
        scheme = schemes.get(layer, DENSE)
        key = id(scheme), rows, columns
        if key not in alike:
            alike[key] = scheme.tensors(rows, columns)
        for suffix, expected in alike[key].items():
            table[f"{layer}.{suffix}"] = expected
    norms = ARCHITECTURES[architecture][1](shape)
    by_length = {length: Expected(((length,),), FLOATS) for length in set(norms.values())}
    table |= {f"{norm}.weight": by_length[length] for norm, length in norms.items()}
    embedding = Expected(((shape.vocab, shape.hidden),), FLOATS)
    table[f"{EMBEDDING}.weight"] = embedding
    if shape.tied:
        table[f"{HEAD}.weight"] = Expected(embedding.shapes, FLOATS, optional=True)
    if kv_scales:
        scale = Expected(((1,), ()), FLOATS, optional=True)
        attentions = (f"model.layers.{i}.self_attn" for i in range(shape.layers))
        table |= {f"{a}.{s}_scale": scale for a in attentions for s in "kv"}
    return table


def find_tensor_problems(table: Mapping[str, Expected], tensors: Iterable[Tensor]) -> list[Problem]:
    """Compare the headers with the table."""
    held = {tensor.name: tensor for tensor in tensors}
    missing = [
        name for name, expected in table.items() if not expected.optional and name not in held
    ]
    problems = several("WEIGHTS_MISSING", missing)
    problems += several("WEIGHTS_UNEXPECTED", sorted(held.keys() - table.keys()))
    shapes, dtypes = [], []
    for name, expected in table.items():
        tensor = held.get(name)
        if tensor is None:
            continue
        if tensor.shape not in expected.shapes:
            shapes.append(
                problem("WEIGHTS_SHAPE", name, f"{list(tensor.shape)} ≠ {list(expected.shapes[0])}")
            )
        elif tensor.dtype not in expected.dtypes:
            wanted = "/".join(sorted(expected.dtypes))
            dtypes.append(problem("WEIGHTS_DTYPE", name, f"{tensor.dtype} ≠ {wanted}"))
    return problems + shapes + dtypes
