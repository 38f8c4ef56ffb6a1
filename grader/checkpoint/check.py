"""``find_problems``: can the contest grade the checkpoint in this folder? Reads headers and loads nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

from grader.checkpoint import strictjson
from grader.checkpoint.architecture import HEAD, Decoder
from grader.checkpoint.base import base_architecture, base_config
from grader.checkpoint.config import canonical_config, find_config_notices, find_config_problems
from grader.checkpoint.describe import outline
from grader.checkpoint.finding import Refused, fold, problem, several
from grader.checkpoint.layout import Layout, canonical_names, find_index_problems, read_layout
from grader.checkpoint.organiser import find_differences
from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.checkpoint.quantization.plan import (
    Plan,
    find_quantization_notices,
    read_plan,
)
from grader.checkpoint.safetensors import read_header
from grader.checkpoint.scan import find_place, have_equal_data, scan
from grader.checkpoint.stored_shapes import find_false_shapes
from grader.checkpoint.strictjson import Json
from grader.checkpoint.tensors import expected_of, find_tensor_problems, find_unused_scales
from grader.contest import Contest
from grader.problems.catalogue import CATALOGUE, Fault, Problem
from grader.protocol.documents import CheckpointFacts, Tensor

# Where older tools describe the quantization: ModelOpt, AutoGPTQ, AutoAWQ.
_ELSEWHERE = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")


@dataclass(frozen=True, slots=True)
class Findings:
    """The checker's verdict.

    Attributes:
        problems: what the team must change; empty means the checkpoint is acceptable.
        notices: informational findings that do not affect the verdict.
        facts: size, scheme and tensors, once config and headers could be read; ``content_sha256`` is empty
            unless the data was read too (``scan=True``).
    """

    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...] = ()
    facts: CheckpointFacts | None = None

    @property
    def acceptable(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked checkpoint, which :func:`rebuild` uses as its input."""

    layout: Layout
    config: Json
    headers: tuple[tuple[Tensor, ...], ...]


def find_problems(
    folder: Path,
    contest: Contest,
    *,
    scan: bool = False,
    known_sha256: Mapping[str, str] = MappingProxyType({}),
) -> Findings:
    """Examine an unpacked checkpoint.

    Args:
        scan: also read the data to find NaN, infinity and all-zero tensors and to compute the content digest.
            Takes about as long as ``cat``.
        known_sha256: digests of the weights by file name, to compute the content digest without reading data.
    """
    _, findings = examine(folder, contest, scan=scan, known_sha256=known_sha256)
    return findings


def examine(
    folder: Path,
    contest: Contest,
    *,
    scan: bool,
    known_sha256: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Checked | None, Findings]:
    """Like :func:`find_problems`, but also return the intermediate results."""
    found: list[Problem] = []
    facts: CheckpointFacts | None = None
    checked: Checked | None = None
    try:
        layout = read_layout(folder)
        found += find_differences(layout.organiser, contest)
        base = base_config(contest)
        config = strictjson.read(layout.config)
        found += find_config_problems(config, base, contest)
        found += find_config_notices(config, base, contest)
        headers = _read_headers(layout.weights)
        held = {p.name: _names(tensors) for p, tensors in zip(layout.weights, headers, strict=True)}
        found += find_index_problems(layout.index, held)
        _stop_at_problems(found, contest)
        layout, headers = _without_empty(layout, headers)

        if layout.ignored:
            found.append(problem("LAYOUT_IGNORED_FILE", "", ", ".join(layout.ignored[:20])))
        graded = canonical_config(config, base, contest)
        decoder = base_architecture(contest).decoder(graded)
        names = {name for names in held.values() for name in names}
        # Of a base model with MXFP4 experts; then the checkpoint's is the same.
        own = base.get("quantization_config")
        quantization = None if own else config.get("quantization_config")
        plan = read_plan(quantization, contest.checkpoint, decoder.linears, names)
        words = str(own["quant_method"]).upper() if own else plan.words(_dtype(graded))
        facts = _facts(layout, headers, words, config, decoder)
        if quantization:
            graded["quantization_config"] = plan.config
        of_tensors = _explain(
            find_tensor_problems(expected_of(plan, decoder), facts.tensors), plan, decoder
        )
        elsewhere = [name for name in layout.ignored if name in _ELSEWHERE]
        if of_tensors and elsewhere and plan.config is None:
            found.append(problem("QUANT_ELSEWHERE", elsewhere[0]))
        found += of_tensors
        found += find_quantization_notices(plan)
        found += find_kernel_problems(plan, decoder.linears, contest.hardware)
        found += find_unused_scales(plan, names)
        files = dict(zip(layout.weights, headers, strict=True))
        if decoder.tied and f"{HEAD}.weight" in names:
            found.append(_duplicate_head(decoder, files, read=scan))
        if scan and not of_tensors:
            found += find_false_shapes(plan, decoder, files)
        _stop_at_problems(found, contest)
        if scan:
            digests, of_data = _scan(layout.weights, headers)
            found += of_data
            facts = replace(facts, content_sha256=content_sha256(graded, digests))
        elif all(path.name in known_sha256 for path in layout.weights):
            digests = [known_sha256[path.name] for path in layout.weights]
            facts = replace(facts, content_sha256=content_sha256(graded, digests))
        checked = Checked(layout, graded, headers)
    except Refused as refusal:
        found += refusal.problems
    problems, notices = _sort(found, contest)
    return (None if problems else checked), Findings(problems, notices, facts)


def content_sha256(config: Json, weights_sha256: Iterable[str]) -> str:
    """Digest the team's content in canonical form, regardless of archive type, file names and order.

    sha256 over lines ``<name> <sha256>``, sorted by canonical name: the config, then each weights file.
    """
    digests = list(weights_sha256)
    config_sha256 = hashlib.sha256(strictjson.dump(config)).hexdigest()
    lines = [f"config.json {config_sha256}\n"]
    lines += [f"{n} {d}\n" for n, d in zip(canonical_names(len(digests)), digests, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read_headers(paths: tuple[Path, ...]) -> tuple[tuple[Tensor, ...], ...]:
    """Read all headers. Problems from several files are reported together."""
    headers: list[tuple[Tensor, ...]] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            headers.append(read_header(path))
        except Refused as refusal:
            problems += refusal.problems
    if problems:
        raise Refused(*problems)
    return tuple(headers)


def _without_empty(
    layout: Layout, headers: tuple[tuple[Tensor, ...], ...]
) -> tuple[Layout, tuple[tuple[Tensor, ...], ...]]:
    """Leave out files that hold no tensors, unless none would be left."""
    held = [(p, h) for p, h in zip(layout.weights, headers, strict=True) if h]
    if not held or len(held) == len(headers):
        return layout, headers
    weights, kept = zip(*held, strict=True)
    empty = [path.name for path in layout.weights if path not in weights]
    return replace(layout, weights=weights, ignored=(*layout.ignored, *empty)), kept


def _duplicate_head(
    decoder: Decoder, files: Mapping[Path, tuple[Tensor, ...]], *, read: bool
) -> Problem:
    """What to say of a tied head that was saved all the same: whether it is the embedding shows in its data."""
    head, embedding = (find_place(name, files) for name in (f"{HEAD}.weight", decoder.embedding))
    differs = read and head and embedding and not have_equal_data(head, embedding)
    code = "WEIGHTS_HEAD_DIFFERS" if differs else "WEIGHTS_DUPLICATE_HEAD"
    return problem(code, f"{HEAD}.weight", f"{head.size_bytes if head else 0} B")


def _names(tensors: tuple[Tensor, ...]) -> tuple[str, ...]:
    return tuple(tensor.name for tensor in tensors)


_name = attrgetter("name")


def _facts(
    layout: Layout,
    headers: tuple[tuple[Tensor, ...], ...],
    scheme: str,
    config: Json,
    decoder: Decoder,
) -> CheckpointFacts:
    tensors = tuple(sorted(chain.from_iterable(headers), key=_name))
    size_bytes = sum(path.stat().st_size for path in layout.weights)
    described = outline(config, tensors, decoder)
    words = {language: described.sentence(language) for language in ("en", "ko")}
    return CheckpointFacts("", size_bytes, scheme, tensors, words)


def _scan(
    paths: tuple[Path, ...], headers: tuple[tuple[Tensor, ...], ...]
) -> tuple[list[str], list[Problem]]:
    digests, problems = [], []
    for content in scan(zip(paths, headers, strict=True)):
        digests.append(content.sha256)
        problems += several("WEIGHTS_NONFINITE", content.nonfinite)
        problems += several("WEIGHTS_ZERO", content.zero)
    return digests, problems


def _explain(problems: list[Problem], plan: Plan, decoder: Decoder) -> list[Problem]:
    """Report quantized layers that the engine would not recognize, with a dedicated message."""
    if not plan.schemes:
        return problems
    explained = []
    embedding = decoder.embedding.removesuffix("weight")
    for code, module in (("QUANT_LM_HEAD", f"{HEAD}."), ("QUANT_EMBEDDING", embedding)):
        names = [p.where for p in problems if p.where.startswith(module)]
        if any(not name.endswith(".weight") for name in names):
            explained.append(problem(code, module[:-1], ", ".join(names[:5])))
            problems = [p for p in problems if not p.where.startswith(module)]
    for name in _quantised_although_dense(problems, decoder):
        names = [p.where for p in problems if p.where.startswith(f"{name}.")]
        explained.append(problem("QUANT_ALWAYS_DENSE", name, ", ".join(names[:5])))
        problems = [p for p in problems if p.where not in names]
    return explained + problems


def _quantised_although_dense(problems: list[Problem], decoder: Decoder) -> list[str]:
    """Find quantized layers that the engine always runs in 16 bits despite the config, such as routers."""
    dense = decoder.linears.engine.dense
    layers = dict.fromkeys(
        p.where.rpartition(".")[0] for p in problems if p.code == "WEIGHTS_UNEXPECTED"
    )
    return [layer for layer in layers if layer.rpartition(".")[2] in dense]


def _dtype(config: Json) -> str:
    return str(config.get("dtype") or config.get("torch_dtype") or "")


def _is_notice(found: Problem, contest: Contest) -> bool:
    if found.code in ("TOKENIZER_DIFFERS", "TEMPLATE_DIFFERS"):
        return contest.checkpoint.tokenizer == "ignore"
    return CATALOGUE[found.code].fault is Fault.NOTICE


def _sort(
    found: list[Problem], contest: Contest
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    problems = [p for p in found if not _is_notice(p, contest)]
    return fold(problems), fold(p for p in found if _is_notice(p, contest))


def _stop_at_problems(found: list[Problem], contest: Contest) -> None:
    """Drop findings that only repeat the same mistake."""
    if _sort(found, contest)[0]:
        raise Refused
