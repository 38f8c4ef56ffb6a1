"""Which files a checkpoint folder may contain, and whether its index matches them."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.checkpoint import strictjson
from grader.checkpoint.finding import Refused, problem, several
from grader.problems.catalogue import Problem

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 16 << 20

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "tokenizer.model",
)  # fmt: skip
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
GENERATION_FILES = ("generation_config.json",)
ORGANISER_FILES = (*TOKENIZER_FILES, *TEMPLATE_FILES, *GENERATION_FILES)

_WEIGHTS = re.compile(r"(?!adapter_|consolidated)[A-Za-z0-9_][A-Za-z0-9_.\-]*\.safetensors")
_FORBIDDEN = re.compile(
    r".*\.(bin|pt|pth|pkl|pickle|ckpt|gguf|ggml|npz|npy|h5|hdf5|msgpack|onnx|tflite|mar|engine|plan|distcp|"
    r"safetensors|py|pyc|pyd|so|dll|dylib|sh|exe|whl|jar|ipynb)|adapter_.*|consolidated.*|params\.json|tekken\.json",
    re.IGNORECASE | re.DOTALL,
)


# Weights to pack. This is wider than what is read: if an adapter is included, the checker can explain why it
# is refused. Browsers get this pattern too, so it must mean the same in Python and JavaScript.
PACKED_WEIGHTS = r"[^.].*\.safetensors"
PACKING = {"config": CONFIG, "index": INDEX, "weights": PACKED_WEIGHTS}


def packed_names(names: Collection[str], indexed: Collection[str] | None = None) -> list[str]:
    """Return the sorted files of a folder that make up its checkpoint: config, index and weights.

    Args:
        indexed: the weights that the index names; None without an index, which selects all weights.
    """
    if indexed is None:
        indexed = [name for name in names if re.fullmatch(PACKED_WEIGHTS, name)]
    return sorted({*indexed, *(name for name in (CONFIG, INDEX) if name in names)})


def is_read(name: str) -> bool:
    """Return whether a file with this name is used. All others are refused or ignored."""
    return name in (CONFIG, INDEX, *ORGANISER_FILES) or _WEIGHTS.fullmatch(name) is not None


def find_name_problems(names: Collection[str]) -> list[Problem]:
    """Check a folder's file names: LAYOUT_FORBIDDEN_FILE, LAYOUT_MISSING_CONFIG or LAYOUT_NO_WEIGHTS."""
    forbidden = [name for name in names if not is_read(name) and _FORBIDDEN.fullmatch(name)]
    problems = several("LAYOUT_FORBIDDEN_FILE", forbidden)
    if CONFIG not in names:
        problems.append(problem("LAYOUT_MISSING_CONFIG"))
    if not problems and not any(map(_WEIGHTS.fullmatch, names)):
        problems.append(problem("LAYOUT_NO_WEIGHTS"))
    return problems


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a folder by role. ``ignored`` files are dropped on rebuild."""

    config: Path
    weights: tuple[Path, ...]
    index: Path | None
    organiser: tuple[Path, ...]
    ignored: tuple[str, ...]


def read_layout(folder: Path) -> Layout:
    """Sort the folder's entries by role.

    Raises:
        Refused: LAYOUT_MISSING_CONFIG, LAYOUT_NO_WEIGHTS, LAYOUT_FORBIDDEN_FILE, LAYOUT_SUBFOLDER or
            LAYOUT_NOT_A_FILE; carries all that apply.
    """
    problems: list[Problem] = []
    names: list[str] = []
    ignored: list[str] = []
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            names.append(path.name)
        elif not stat.S_ISDIR(mode):
            problems.append(problem("LAYOUT_NOT_A_FILE", path.name))
        elif path.name.startswith("."):  # .cache, .git: left behind by tools, never read
            ignored.append(path.name)
        else:
            problems.append(problem("LAYOUT_SUBFOLDER", f"{path.name}/"))
    for found in find_name_problems(names):
        if found.code != "LAYOUT_NO_WEIGHTS" or not problems:  # the files may be in the subfolder
            problems.append(found)
    if problems:
        raise Refused(*problems)
    weights = [folder / name for name in names if _WEIGHTS.fullmatch(name)]
    organiser = [folder / name for name in names if name in ORGANISER_FILES]
    ignored += [name for name in names if not is_read(name)]
    index = folder / INDEX if INDEX in names else None
    return Layout(folder / CONFIG, tuple(weights), index, tuple(organiser), tuple(ignored))


def find_index_problems(index: Path | None, held: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """Compare the index with the headers; ``held`` maps each file to its tensor names."""
    problems = []
    owner: dict[str, str] = {}
    for file, names in held.items():
        twice = [name for name in names if name in owner]
        problems += several("INDEX_DUPLICATE_TENSOR", twice, file)
        owner.update(dict.fromkeys(names, file))
    if index is None or problems:
        return problems
    try:
        weight_map = strictjson.read(index, MAX_INDEX_BYTES).get("weight_map")
    except Refused as error:
        return list(error.problems)
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        return [problem("INDEX_INVALID", index.name, "weight_map")]
    named = set(weight_map.values())
    outside = sorted(
        name for name in named if "/" in name or "\\" in name or name in ("", ".", "..")
    )
    if outside:
        return several("INDEX_PATH", outside)
    if missing := sorted(named - held.keys()):
        return several("INDEX_MISSING_FILE", missing)
    if unlisted := sorted(name for name in held.keys() - named if held[name]):
        return several("INDEX_MISMATCH", unlisted)
    differing = sorted(
        n for n in owner.keys() | weight_map.keys() if owner.get(n) != weight_map.get(n)
    )
    return several("INDEX_MISMATCH", differing)


def canonical_names(count: int) -> list[str]:
    """Return the file names ``save_pretrained`` uses for ``count`` shards."""
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{k:05d}-of-{count:05d}.safetensors" for k in range(1, count + 1)]
