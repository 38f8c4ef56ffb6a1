"""The base model of a drafted contest: config, headers and tokenizer, from a folder or the Hub."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from grader.assets import hub
from grader.checkpoint import Refused as CheckpointRefused
from grader.checkpoint import lay_out, strictjson
from grader.checkpoint.architecture import HEAD, Architecture, Decoder
from grader.checkpoint.base import TENSORS, Headers, base_headers, write_table
from grader.checkpoint.layout import CONFIG, INDEX, ORGANISER_FILES
from grader.checkpoint.strictjson import Json
from grader.protocol.documents import HubFile, HubSource
from leaderboard.contests.drafting.words import refused

WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True)
class Base:
    """What drafting reads from a base model.

    Attributes:
        revision: the commit on the Hub, empty for a folder.
        decoder: None if config and tensors do not match; the fault is reported with the contest's.
    """

    id: str
    revision: str
    config: Json
    headers: Headers
    decoder: Decoder | None

    @property
    def architecture(self) -> str:
        return str((self.config.get("architectures") or [""])[0])

    @property
    def weights_bytes(self) -> int:
        return sum(self.headers.files.values())

    @property
    def context_tokens(self) -> int:
        """The model's maximum length in tokens, from its config; a small one if the config has none."""
        found = self.config.get("max_position_embeddings")
        return found if isinstance(found, int) and found > 0 else 2048

    @property
    def head_twice_bytes(self) -> int:
        """The size of a second copy of the tied embedding."""
        if self.decoder is None or not self.decoder.tied:
            return 0
        return sum(t.size_bytes for t in self.headers.tensors if t.name == f"{HEAD}.weight")


def read(text: str, into: Path, name: str, *, with_weights: bool) -> Base:
    """Fill ``into`` with the contents of a contest's base folder.

    Args:
        name: name of a model from a folder; a Hub model has its own.
        with_weights: also copy a folder's weights; Hub weights are never downloaded.

    Raises:
        Refused: it is not a model, or not available.
        OSError: a file cannot be read or written.
    """
    into.mkdir(parents=True)
    folder = Path(text).expanduser()
    if folder.is_dir():
        revision, name = "", f"local/{name}"
        headers = _copy(folder, into, text, with_weights=with_weights)
    elif folder.exists() or text.startswith((".", "/", "~")) or text.count("/") > 1:
        why = "not a folder" if folder.exists() else "no such folder"
        raise refused("BASE_NOT_A_MODEL", base=text, why=why)
    else:
        source = _pinned(text)
        revision, name = source.commit, source.repo
        headers = _fetch(source, into)
    if not (into / "tokenizer.json").is_file():
        raise refused("BASE_WITHOUT_TOKENIZER", base=text)
    try:
        config = strictjson.read(into / CONFIG)
    except CheckpointRefused as error:
        raise refused("BASE_NOT_A_MODEL", base=text, why=f"{CONFIG}: {error}") from error
    return Base(name, revision, config, headers, _decoder(config, headers))


def _copy(folder: Path, into: Path, text: str, *, with_weights: bool) -> Headers:
    if not (folder / CONFIG).is_file():
        raise refused("BASE_NOT_A_MODEL", base=text, why=f"no {CONFIG}")
    weights = sorted(folder.glob(f"*{WEIGHTS}"))
    if not weights and not (folder / TENSORS).is_file():
        raise refused("BASE_WITHOUT_HEADERS", base=text)
    try:
        headers = base_headers(folder)
    except ValueError as error:
        raise refused("BASE_NOT_A_MODEL", base=text, why=str(error)) from error
    wanted = [CONFIG, *ORGANISER_FILES]
    if with_weights and weights:
        wanted += [INDEX, *(path.name for path in weights)]
    else:
        write_table(into / TENSORS, headers)
    for name in wanted:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, into / name)
    return headers


def _pinned(text: str) -> HubSource:
    try:
        repo, revision = hub.parse(text, endpoint=settings.HF_ENDPOINT)
        source = hub.pin(repo, revision, endpoint=settings.HF_ENDPOINT)
        name = hub.name_of(repo, endpoint=settings.HF_ENDPOINT)
    except hub.HubError as error:
        raise _on_hub(text, error) from error
    if name != repo:
        raise refused("HUB_RENAMED", base=repo, name=name)
    names = {file.name for file in source.files}
    if CONFIG not in names:
        raise refused("BASE_NOT_A_MODEL", base=text, why=f"no {CONFIG}")
    if not any(map(_is_weights, names)):
        raise refused("BASE_WITHOUT_HEADERS", base=text)
    return source


def _fetch(source: HubSource, into: Path) -> Headers:
    read_part = partial(hub.read, source, endpoint=settings.HF_ENDPOINT)
    sparse = into.with_name(f"{into.name}-headers")
    sparse.mkdir()
    try:
        lay_out([file for file in source.files if _is_weights(file.name)], sparse, read_part)
        headers = base_headers(sparse)
        for file in _small(source.files):
            (into / file.name).write_bytes(read_part(file.name, 0, file.size_bytes))
    except hub.HubError as error:
        raise _on_hub(source.repo, error) from error
    except ValueError as error:
        raise refused("BASE_NOT_A_MODEL", base=source.repo, why=str(error)) from error
    finally:
        shutil.rmtree(sparse)
    write_table(into / TENSORS, headers)
    return headers


def _small(files: tuple[HubFile, ...]) -> list[HubFile]:
    return [file for file in files if file.name in (CONFIG, *ORGANISER_FILES)]


def _is_weights(name: str) -> bool:
    return name.endswith(WEIGHTS) and "/" not in name


def _on_hub(text: str, error: hub.HubError) -> Exception:
    if error.code == "HUB_GATED":
        return refused("HUB_GATED", base=text)
    return refused("BASE_ON_HUB", base=text, error=str(error))


def _decoder(config: Json, headers: Headers) -> Decoder | None:
    try:
        return Architecture.of(config, headers.tensors).decoder(config)
    except (ValueError, KeyError, CheckpointRefused):
        return None
