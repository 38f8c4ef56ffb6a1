"""Checks from config.json, before weights are read, whether a recipe works on this model for this contest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from baseline.compression.recipe import Awq, PruneLayers, Quantiser, Recipe, left_alone
from baseline.compression.schemes import FAST_GROUP_SIZES, SCHEMES
from baseline.compression.smooth import EXACT_FOR
from baseline.terminal.errors import usage

if TYPE_CHECKING:
    from grader.checkpoint.quantization.schemes import Scheme
    from grader.contest import Contest

Config = dict[str, Any]
Sizes = Mapping[str, tuple[int, int]]


def check(
    recipe: Recipe,
    config: Config,
    contest: Contest | None = None,
    linears: Sizes | None = None,
) -> list[str]:
    """Refuse what cannot work. Returns warnings about what works badly.

    Args:
        linears: the model's linear layers with (rows, columns), from its headers; if omitted, those of a
            decoder such as Llama or EXAONE 4.

    Raises:
        CliError: with the numbers that do not fit and those that would.
    """
    if config.get("quantization_config"):
        raise usage(
            "MODEL_ALREADY_QUANTISED",
            "This model is already quantized (config.json has quantization_config).",
            "Start from the uncompressed base model.",
        )
    _data_fits(recipe, config)
    if linears is None:
        linears = usual_linears(config)
    _steps_fit(recipe, config, linears)
    warnings: list[str] = []
    layers = config["num_hidden_layers"]
    for step in recipe.steps:
        if step.prune_layers:
            layers = _pruning_fits(step.prune_layers, layers)
    if quantiser := recipe.quantiser:
        _experts_fit(quantiser, linears)
        warnings += _quantiser_fits(quantiser, config, linears)
    if contest:
        warnings += _contest_allows(recipe, config, contest, linears)
    return warnings


def usual_linears(config: Config) -> Sizes:
    """Return the linear layers of a typical decoder with q, k, v, o, gate, up and down."""
    heads, hidden, inner = (
        config[key] for key in ("num_attention_heads", "hidden_size", "intermediate_size")
    )
    head_dim = config.get("head_dim") or hidden // heads
    queries, keys = heads * head_dim, (config.get("num_key_value_heads") or heads) * head_dim
    one = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    layers = range(config["num_hidden_layers"])
    return {f"model.layers.{i}.{name}": size for i in layers for name, size in one.items()}


def widths(linears: Sizes, ignore: tuple[str, ...] = ()) -> dict[str, int]:
    """Return input columns of every linear layer a quantizer would touch, by name."""
    return {name: size[1] for name, size in linears.items() if not ignored(name, ignore)}


def ignored(name: str, patterns: tuple[str, ...]) -> bool:
    """Match as llmcompressor does: ``re:`` is a regular expression from the start, anything else the full
    name."""
    return any(
        re.match(pattern[3:], name) if pattern.startswith("re:") else name == pattern
        for pattern in patterns
    )


def group_sizes_for(found: dict[str, int]) -> list[int]:
    """Return common group sizes that divide every width, those with fast kernels first."""
    return [
        size for size in (*FAST_GROUP_SIZES, 256, 16) if all(w % size == 0 for w in found.values())
    ]


def _steps_fit(recipe: Recipe, config: Config, linears: Sizes) -> None:
    """Refuse steps that are only exact for certain model families on all others, before weights are read."""
    if any(step.prune_layers for step in recipe.steps) and not _is_plain_stack(linears):
        raise usage(
            "PRUNING_NOT_FOR_MODEL",
            "Layers are dropped from models that have attention in every layer; this one has not.",
            "Use a recipe without the step prune_layers.",
        )
    leaves = {name.rpartition(".")[2] for name in linears}
    for step in recipe.steps:
        if step.smooth and (absent := _needed(step.smooth.pairs) - leaves):
            raise usage(
                "SMOOTHING_NOT_FOR_MODEL",
                f"Smoothing needs {', '.join(sorted(absent))} in every layer, which this model has not.",
                "Use a recipe without the step smooth: "
                "w8a8-gptq and fp8-dynamic work for every decoder.",
            )
        if step.smooth and any(".experts." in name for name in linears):
            raise usage(
                "SMOOTHING_NOT_FOR_MODEL",
                "Smoothing is for dense layers; this model has experts.",
                "Use a recipe without the step smooth: w8a8-gptq, fp8-dynamic.",
            )
        architecture = (config.get("architectures") or [""])[0]
        if step.smooth and architecture not in EXACT_FOR:
            raise usage(
                "SMOOTHING_NOT_FOR_MODEL",
                f"Smoothing is only known to leave the answers of some families unchanged; "
                f"{architecture or '?'} is not one of them.",
                f"Use a recipe without the step smooth: w8a8-gptq. Tried: {', '.join(EXACT_FOR)}.",
            )


def _experts_fit(quantiser: Quantiser, linears: Sizes) -> None:
    from grader.checkpoint.architecture import Linears

    if isinstance(linears, Linears) and linears.stacked:
        raise usage(
            "EXPERTS_IN_ONE_TENSOR",
            f"{linears.stacked[0]} holds all its experts in one tensor; quantizing would split them into "
            "layers that the engine does not load.",
            "Use a recipe that only drops layers, or start from a model with one tensor an expert.",
        )
    layers = {name.split(".")[2] for name in linears if name.startswith("model.layers.")}
    sparse = {name.split(".")[2] for name in linears if ".experts." in name}
    if isinstance(quantiser, Awq) and sparse and sparse != layers:
        raise usage(
            "AWQ_NOT_FOR_MODEL",
            "AWQ scales layers of one kind. Only some layers of this model have experts.",
            "Use w4a16-gptq, which works for every decoder.",
        )


def _is_plain_stack(linears: Sizes) -> bool:
    """Return whether every layer has attention as ``model.layers.N.self_attn``."""
    layers = {name.split(".")[2] for name in linears if name.startswith("model.layers.")}
    attention = {name.split(".")[2] for name in linears if ".self_attn." in name}
    return bool(layers) and layers == attention


def _needed(pairs: tuple[str, ...]) -> set[str]:
    of = {"v_o": {"v_proj", "o_proj"}, "up_down": {"up_proj", "down_proj"}}
    return {name for pair in pairs for name in of[pair]}


def _data_fits(recipe: Recipe, config: Config) -> None:
    longest = config.get("max_position_embeddings")
    if recipe.needs_data and longest and recipe.data.seq_length > longest:
        raise usage(
            "SEQ_LENGTH_TOO_LONG",
            f"Calibration with {recipe.data.seq_length} tokens, but the model reads {longest} at most.",
            f"Use --seq-length {longest} or less.",
        )


def _pruning_fits(prune: PruneLayers, layers: int) -> int:
    """Return how many of ``layers`` remain. At least one must."""
    candidates = max(0, layers - max(1, prune.keep_first + prune.keep_last))
    if prune.layers > candidates:
        raise usage(
            "TOO_MANY_LAYERS_PRUNED",
            f"{prune.layers} layers to drop, but of {layers} layers only {candidates} may go "
            f"(the first {prune.keep_first} and the last {prune.keep_last} are kept, one at least).",
            f"Use --set prune_layers.layers={candidates} or less."
            if candidates
            else "Use a recipe without this step.",
        )
    return layers - prune.layers


def _quantiser_fits(quantiser: Quantiser, config: Config, linears: Sizes) -> list[str]:
    scheme = SCHEMES[quantiser.scheme]
    if config.get("tie_word_embeddings") and not ignored("lm_head", quantiser.ignore):
        raise usage(
            "TIED_HEAD_QUANTISED",
            "lm_head shares its weights with embed_tokens in this model; quantizing it writes tensors "
            "that the engine has no place for (lm_head.weight_scale).",
            "Leave lm_head in the recipe's ignore list.",
        )
    size = quantiser.group_size or scheme.group_size
    if not size:
        return []
    found = widths(linears, left_alone(quantiser))
    bad = {name: width for name, width in found.items() if width % size}
    if bad:
        name, width = next(iter(bad.items()))
        fitting = group_sizes_for(found)
        raise usage(
            "GROUP_SIZE_DOES_NOT_FIT",
            f"Group size {size} does not divide the width {width} of {name}"
            f"{f' and {len(bad) - 1} more layers' if len(bad) > 1 else ''}.",
            f"Use --group-size {fitting[0]} (these divide every width: "
            f"{', '.join(map(str, fitting))})."
            if fitting
            else "No usual group size divides every width; use an 8-bit recipe, or add the layers "
            "to ignore.",
        )
    if size not in FAST_GROUP_SIZES:
        sizes = ", ".join(map(str, FAST_GROUP_SIZES))
        return [f"Group size {size} has no fast kernel on GPUs; {sizes} have."]
    return []


def _contest_allows(recipe: Recipe, config: Config, contest: Contest, linears: Sizes) -> list[str]:
    architecture = (config.get("architectures") or [""])[0]
    if architecture != contest.base_model.architecture:
        raise usage(
            "WRONG_ARCHITECTURE",
            f"{contest.id} takes {contest.base_model.architecture}; this model is {architecture or '?'}.",
            f"Start from {contest.base_model.id}.",
        )
    may_differ = contest.checkpoint.config_may_differ
    if any(step.prune_layers for step in recipe.steps) and "num_hidden_layers" not in may_differ:
        raise usage(
            "PRUNING_NOT_ALLOWED",
            f"{contest.id} does not let num_hidden_layers differ.",
            "Use a recipe without prune_layers.",
        )
    quantiser = recipe.quantiser
    if quantiser is None:
        return []
    if "compressed-tensors" not in contest.checkpoint.quant_methods:
        raise usage(
            "METHOD_NOT_ALLOWED",
            f"{contest.id} does not take compressed-tensors, which is what this tool writes.",
            f"It takes: {', '.join(contest.checkpoint.quant_methods)}.",
        )
    stored = SCHEMES[quantiser.scheme].of_groups(quantiser.group_size)
    refusals, notices = _kernels(stored, left_alone(quantiser), linears, contest)
    if refusals:
        running = _running(left_alone(quantiser), linears, contest)
        raise usage(
            "SCHEME_NOT_ON_GPU",
            f"{quantiser.scheme} does not run where {contest.id} is graded: {refusals[0]}",
            f"Schemes that run there: {', '.join(running)}."
            if running
            else "No scheme runs these layers there: use a recipe that only drops layers, or leave "
            'them alone with ignore (for experts "re:.*experts.*").',
        )
    return notices


def _kernels(
    stored: Scheme, ignore: tuple[str, ...], linears: Sizes, contest: Contest
) -> tuple[list[str], list[str]]:
    """Ask the checker about the contest's hardware: reasons to refuse, and things to know."""
    from grader.checkpoint.architecture import Linears
    from grader.checkpoint.engine_layers import engine_layers
    from grader.checkpoint.quantization.kernels import find_kernel_problems
    from grader.checkpoint.quantization.plan import Plan
    from grader.problems.catalogue import CATALOGUE, Fault

    layers = Linears(linears, engine_layers(contest.base_model.architecture))
    plan = Plan({name: stored for name in layers if not ignored(name, ignore)})
    found: dict[bool, list[str]] = {True: [], False: []}
    for problem in find_kernel_problems(plan, layers, contest.hardware):
        kind = CATALOGUE[problem.code]
        said = f"{kind.sentence('en')} ({problem.detail})"
        found[kind.fault is Fault.TEAM].append(said)
    return found[True], found[False]


def _running(ignore: tuple[str, ...], linears: Sizes, contest: Contest) -> list[str]:
    return [
        name
        for name, scheme in SCHEMES.items()
        if not _kernels(scheme.stored, ignore, linears, contest)[0]
    ]
