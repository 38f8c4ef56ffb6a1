"""Recipes: YAML files that describe what is done to a model, decoded strictly.

This module imports neither torch nor llmcompressor, so a recipe is refused before anything heavy starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from baseline.compression.schemes import SCHEMES
from baseline.terminal.errors import usage
from grader.checkpoint.dense import ROUTERS
from grader.schema import SchemaError, decode, encode
from grader.text import Text

RECIPES = Path(__file__).parents[1] / "recipes"
SCHEMA = 1
LARGEST_SEED = 2**32 - 1  # numpy's limit
# What YAML raises: its own errors, and Python's for a 13th month or a number with 5,000 digits.
YAML_ERRORS = (yaml.YAMLError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Data:
    """Calibration data: ``samples`` conversations of at most ``seq_length`` tokens.

    Attributes:
        repo, split, revision: the Hub data set used when ``--data`` names nothing else.
        skip: conversations skipped at the start; which slice is used can matter.
    """

    samples: int = 256
    seq_length: int = 512
    repo: str = "LGAI-EXAONE/MANTA-1M"
    split: str = "train"
    revision: str = ""
    skip: int = 0

    def __post_init__(self) -> None:
        _at_least("samples", self.samples, 1)
        _at_least("seq_length", self.seq_length, 1)
        _at_least("skip", self.skip, 0)


@dataclass(frozen=True, slots=True)
class PruneLayers:
    """Drop the ``layers`` decoder layers with the least block influence (they change their input least)."""

    layers: int = 1
    keep_first: int = 1
    keep_last: int = 1

    def __post_init__(self) -> None:
        for name in ("layers", "keep_first", "keep_last"):
            _at_least(name, getattr(self, name), 1 if name == "layers" else 0)


@dataclass(frozen=True, slots=True)
class Smooth:
    """Move outliers from activations to weights. ``pairs``: see recipes/README.md."""

    strength: float = 0.5
    pairs: tuple[str, ...] = ("v_o", "up_down")

    def __post_init__(self) -> None:
        _between("strength", self.strength, 0.0, 1.0)
        for pair in self.pairs:
            if pair not in ("v_o", "up_down"):
                raise SchemaError("pairs", f"v_o or up_down, not {pair!r}")


@dataclass(frozen=True, slots=True)
class Gptq:
    """GPTQ: second-order error compensation from calibration data.

    ``group_size`` 0 keeps the scheme's own. Static ``actorder`` reorders columns while quantizing and
    costs nothing at run time.
    """

    scheme: str
    group_size: int = 0
    ignore: tuple[str, ...] = ("lm_head", "re:.*embed_tokens")
    targets: tuple[str, ...] = ("Linear",)
    dampening: float = 0.01
    block_size: int = 128
    actorder: Literal["static", "group", "none"] = "static"

    def __post_init__(self) -> None:
        _quantiser(self)
        _between("dampening", self.dampening, 1e-6, 1.0)
        _at_least("block_size", self.block_size, 1)


@dataclass(frozen=True, slots=True)
class Rtn:
    """Round to nearest: no data, seconds instead of minutes."""

    scheme: str
    group_size: int = 0
    ignore: tuple[str, ...] = ("lm_head", "re:.*embed_tokens")
    targets: tuple[str, ...] = ("Linear",)

    def __post_init__(self) -> None:
        _quantiser(self)


@dataclass(frozen=True, slots=True)
class Awq:
    """AWQ: per-channel scales found by grid search on calibration data, then round to nearest."""

    scheme: str
    group_size: int = 0
    ignore: tuple[str, ...] = ("lm_head", "re:.*embed_tokens")
    targets: tuple[str, ...] = ("Linear",)
    grid: int = 20
    duo_scaling: bool = True

    def __post_init__(self) -> None:
        _quantiser(self)
        _at_least("grid", self.grid, 1)


Quantiser = Gptq | Rtn | Awq

_ROUTERS = rf"re:.*\.({'|'.join(ROUTERS)})$"


def left_alone(quantiser: Quantiser) -> tuple[str, ...]:
    """Return layers that a quantizer skips: those of the recipe, and the routers of experts."""
    return (*quantiser.ignore, _ROUTERS)


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Exactly one of these fields is set."""

    prune_layers: PruneLayers | None = None
    smooth: Smooth | None = None
    gptq: Gptq | None = None
    rtn: Rtn | None = None
    awq: Awq | None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, f.name) is not None for f in fields(self)) != 1:
            known = ", ".join(f.name for f in fields(self))
            raise SchemaError("", f"a step has exactly one of: {known}")

    @property
    def name(self) -> str:
        return next(f.name for f in fields(self) if getattr(self, f.name) is not None)

    @property
    def quantiser(self) -> Quantiser | None:
        return self.gptq or self.rtn or self.awq


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps of ``baseline compress``, in order. At most one step quantizes, and it comes last."""

    schema: int
    name: str
    about: Text
    steps: tuple[Step, ...]
    data: Data = field(default_factory=Data)
    seed: int = 42

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise SchemaError("schema", f"this version reads schema {SCHEMA}, not {self.schema}")
        if not self.steps:
            raise SchemaError("steps", "at least one step is needed")
        if any(step.quantiser for step in self.steps[:-1]):
            raise SchemaError("steps", "only the last step can quantise")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise SchemaError("seed", f"must be between 0 and {LARGEST_SEED}, not {self.seed}")

    @property
    def quantiser(self) -> Quantiser | None:
        return self.steps[-1].quantiser

    @property
    def needs_data(self) -> bool:
        quantiser = self.quantiser
        static = bool(quantiser and SCHEMES[quantiser.scheme].static_activations)
        return static or any(step.rtn is None for step in self.steps)


def names() -> list[str]:
    """Return the recipes that ship with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(name_or_file: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by name or path and apply ``key=value`` overrides.

    Raises:
        CliError: no such recipe, not YAML, unknown or wrong key; the message names the location.
    """
    path = RECIPES / f"{name_or_file}.yaml"
    if not path.is_file():
        path = Path(name_or_file)
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        if path.suffix not in (".yaml", ".yml"):
            raise usage(
                "RECIPE_UNKNOWN",
                f"There is no recipe called {name_or_file!r}.",
                f"Known recipes: {', '.join(names())}; or give a .yaml file.",
            ) from error
        raise usage("RECIPE_UNREADABLE", f"{path} cannot be read: {error}.") from error
    except YAML_ERRORS as error:
        place = " ".join(str(error).split())
        raise usage("RECIPE_INVALID", f"{path} is not valid YAML: {place}") from error
    for override in overrides or []:
        parse(document, str(path))  # must be valid before it can be overridden
        _override(document, override)
    return parse(document, str(path))


def parse(document: object, where: str = "recipe") -> Recipe:
    try:
        return decode(Recipe, document)
    except SchemaError as error:
        raise usage(
            "RECIPE_INVALID", f"{where}: {error}", "baseline/recipes/README.md lists every key."
        ) from error


def as_document(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as used, with defaults spelled out and without the steps' empty alternatives."""
    document: dict[str, Any] = encode(recipe)
    document["steps"] = [
        {name: value for name, value in step.items() if value is not None}
        for step in document["steps"]
    ]
    return document


def as_yaml(recipe: Recipe) -> str:
    return yaml.safe_dump(as_document(recipe), sort_keys=False, allow_unicode=True)


def with_options(
    document: list[str],
    *,
    samples: int | None = None,
    seq_length: int | None = None,
    group_size: int | None = None,
) -> list[str]:
    """``--samples`` and similar options are short for ``--set``. They are applied last and take precedence."""
    short = {"data.samples": samples, "data.seq_length": seq_length, "group_size": group_size}
    return document + [f"{key}={value}" for key, value in short.items() if value is not None]


def _override(document: dict[str, Any], text: str) -> None:
    """Apply ``key=value``. A step is found by its name (``gptq.dampening``); ``group_size`` finds its own
    step."""
    key, equals, raw = text.partition("=")
    if not equals:
        raise usage("SET_INVALID", f"--set takes key=value, not {text!r}.")
    try:
        value = yaml.safe_load(raw)
    except YAML_ERRORS as error:
        raise usage("SET_INVALID", f"--set {key}: {raw!r} is not a value.") from error
    steps = {name: step for step in document["steps"] for name in step if step[name] is not None}
    if key == "group_size":
        known = [name for name in steps if name in ("gptq", "rtn", "awq")]
        key = f"{known[0]}.group_size" if known else key
    head, _, rest = key.partition(".")
    if head in steps and rest:
        steps[head][head][rest] = value
    elif rest:
        document.setdefault(head, {})
        if head not in ("data", "about") or not isinstance(document[head], dict):
            raise usage(
                "SET_INVALID",
                f"This recipe has no {head!r} to set.",
                f"It has: data, seed, {', '.join(steps)}.",
            )
        document[head][rest] = value
    else:
        document[head] = value


def _scheme(scheme: str, group_size: int) -> None:
    if scheme not in SCHEMES:
        raise SchemaError("scheme", f"{scheme!r} is not one of {', '.join(SCHEMES)}")
    if group_size < 0:
        raise SchemaError("group_size", "cannot be negative")
    if group_size and not SCHEMES[scheme].group_size:
        raise SchemaError(
            "group_size", f"{scheme} has one scale per channel and takes no group size"
        )


def _quantiser(step: Quantiser) -> None:
    """Return the settings that all quantizers share."""
    _scheme(step.scheme, step.group_size)
    _patterns("ignore", step.ignore)
    _patterns("targets", step.targets)


def _patterns(name: str, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        if pattern.startswith("re:"):
            try:
                re.compile(pattern[3:])
            except (re.error, RecursionError, OverflowError) as error:
                raise SchemaError(name, f"{pattern!r} is no regular expression: {error}") from error


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise SchemaError(name, f"must be at least {least}, not {value}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SchemaError(name, f"must be between {low:g} and {high:g}, not {value:g}")
