"""Bring a contest's pinned data sets and base model to this machine, so that graders need no network.

``python -m grader.assets.prefetch CONTEST`` on a GPU box; ``manage.py prefetch CONTEST`` where the site is
installed. Files are fetched one by one, an interrupted one goes on where it stopped, and each is compared
with the Hub's own digest before the copy counts as whole.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from grader.assets import copies, nltk_data
from grader.assets.copies import CopiedFile, Copy, Manifest
from grader.assets.headers import fetch_table, put_table
from grader.assets.hub import HubError, listed
from grader.checkpoint.base import TENSORS
from grader.checkpoint.layout import CONFIG, INDEX, ORGANISER_FILES
from grader.contest import Contest, ContestError, find, load
from grader.protocol.documents import HubFile

_IN_CONTEST = re.compile(r"\$\{CONTEST_DIR\}/([^\s\"']+)")
_FREE_BYTES = 1 << 30  # left free on the disk for the rest of the machine


class PrefetchError(Exception):
    """A download failed; the message says what failed and what to do."""


def prefetch(
    contest: Contest, cache: Path, base_models: Path, say: Callable[[str], None], endpoint: str = ""
) -> None:
    """Download and verify everything that grading ``contest`` reads.

    ``say`` is called for every step. ``endpoint`` is the Hub's URL if not the default.

    Raises:
        PrefetchError: the first failed download. Completed ones are kept.
    """
    _check_own_files(contest)
    wanted = list(copies.data_sets(contest, cache))
    own_weights = any(contest.base_folder.glob("*.safetensors"))
    if own_weights:
        say(f"base model {contest.base_model.id}: in the contest's folder")
    else:
        wanted.append(copies.base_model(contest, base_models))
    for copy in wanted:
        bring(copy, say, endpoint)
    for package in nltk_data.packages(contest):
        try:
            nltk_data.bring(package, cache, say)
        except (ImportError, OSError, ValueError) as error:
            raise PrefetchError(
                f"NLTK's {package} could not be downloaded ({str(error)[:200]}). Check the network and run "
                f"prefetch again, or unpack it into {nltk_data.folder(cache)}/tokenizers/{package} by hand."
            ) from error
    if not own_weights:
        _fill_base_folder(contest, wanted[-1].folder, say)


def pins(contest: Contest, base_models: Path, endpoint: str = "") -> Iterator[str]:
    """Return lines for the contest's file with the current commit of each Hub repository, without downloading.

    Raises:
        PrefetchError: the Hub does not answer.
    """
    keys: dict[str, list[str]] = {contest.base_model.id: ["[base_model]"]}
    for benchmark in contest.benchmarks:
        keys.setdefault(benchmark.dataset, []).append(f'[[benchmarks]] id = "{benchmark.id}"')
    wanted = [*copies.data_sets(contest, base_models), copies.base_model(contest, base_models)]
    for copy in wanted:
        if copy.repo not in contest.unpinned:
            continue
        with _explained(copy):
            commit, _ = _list(copy, endpoint)
        for key in keys[copy.repo]:
            yield f'{key}: revision = "{commit}"  # {copy.repo} at {copy.revision}'


def bring(copy: Copy, say: Callable[[str], None], endpoint: str = "") -> None:
    """Download one repository, unless there is a complete, unchanged copy of a pinned commit."""
    title = f"{copy.kind} {copy.repo} at {copy.revision[:12]}"
    known = copy.manifest()
    if copy.is_pinned and known and find_damage(copy, known) == "":
        say(f"{title}: already here, {len(known.files)} files verified")
        return
    with _explained(copy):
        commit, files = _list(copy, endpoint)
        if known and known.commit == commit and find_damage(copy, known) == "":
            say(f"{title}: already here, {len(known.files)} files verified")
        else:
            _fetch(copy, commit, files, say, title, endpoint)
    if not copy.is_pinned:
        say(f'{title}: NOT PINNED; add revision = "{commit}" to the contest file')


def find_damage(copy: Copy, manifest: Manifest) -> str:
    """Return the first file of a copy that differs from the download; empty if all match."""
    for name, file in manifest.files.items():
        path = copy.folder / name
        if not path.is_file() or _sha256(path) != file.sha256:
            return name
    return ""


def _fetch(
    copy: Copy,
    commit: str,
    files: list[HubFile],
    say: Callable[[str], None],
    title: str,
    endpoint: str,
) -> None:
    from huggingface_hub import hf_hub_download

    copy.folder.mkdir(parents=True, exist_ok=True)
    missing_bytes = sum(f.size_bytes for f in files if not (copy.folder / f.name).is_file())
    free_bytes = shutil.disk_usage(copy.folder).free - _FREE_BYTES
    if missing_bytes > free_bytes:
        raise PrefetchError(
            f"{title} needs {missing_bytes / 1e9:.1f} GB, but the disk of {copy.folder} has "
            f"{max(0, free_bytes) / 1e9:.1f} GB to spare. Make room or choose another folder."
        )
    copy.manifest_file.unlink(missing_ok=True)
    found: dict[str, CopiedFile] = {}
    for number, file in enumerate(files, 1):
        say(f"{title}: {number}/{len(files)} {file.name}, {file.size_bytes / 1e6:.1f} MB")
        path = copy.folder / file.name
        for attempt in (1, 2):
            hf_hub_download(
                copy.repo,
                file.name,
                repo_type=copy.kind,
                revision=commit,
                local_dir=copy.folder,
                endpoint=endpoint or None,
                force_download=attempt == 2,
            )
            if _is_intact(path, file):
                break
        else:
            raise PrefetchError(
                f"{title}: {file.name} arrived damaged twice. Check the disk and the network (a proxy "
                "that rewrites downloads?), then run prefetch again."
            )
        found[file.name] = CopiedFile(path.stat().st_size, _sha256(path))
    shutil.rmtree(copy.folder / ".cache", ignore_errors=True)  # the client's metadata
    copy.write_manifest(Manifest(copy.repo, copy.revision, commit, found))
    say(f"{title}: {len(found)} files, {sum(f.size_bytes for f in found.values()) / 1e6:.1f} MB")


def _list(copy: Copy, endpoint: str) -> tuple[str, list[HubFile]]:
    """Return (commit, files that graders read)."""
    from huggingface_hub import HfApi

    info: Any = HfApi(endpoint=endpoint or None).repo_info(
        copy.repo, repo_type=copy.kind, revision=copy.revision, files_metadata=True
    )
    files = [listed(sibling) for sibling in info.siblings or []]
    wanted = [file for file in files if _is_wanted(copy, file.name)]
    if not wanted:
        raise PrefetchError(f"{copy.kind} {copy.repo} has no files that the grader reads.")
    return str(info.sha), wanted


def _is_wanted(copy: Copy, name: str) -> bool:
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith(("/", ".")):
        return False
    if copy.kind == "dataset":
        return True
    return name in (CONFIG, INDEX, *ORGANISER_FILES) or (
        len(parts) == 1 and name.endswith(".safetensors")
    )


def _is_intact(path: Path, file: HubFile) -> bool:
    if path.stat().st_size != file.size_bytes:
        return False
    if len(file.digest) == 64:
        return _sha256(path) == file.digest
    if len(file.digest) == 40:  # git's blob id
        digest = hashlib.sha1(f"blob {file.size_bytes}\0".encode(), usedforsecurity=False)
        digest.update(path.read_bytes())
        return digest.hexdigest() == file.digest
    return True


def _sha256(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_own_files(contest: Contest) -> None:
    """Return files that the contest itself provides: prompts, tasks and the data they name."""
    needed = [contest.speed.prompts]
    if contest.tasks:
        needed.append(contest.tasks)
        for task in (contest.folder / contest.tasks).rglob("*.yaml"):
            needed += _IN_CONTEST.findall(task.read_text("utf-8"))
    missing = sorted({name for name in needed if not (contest.folder / name).exists()})
    if missing:
        raise PrefetchError(
            f"The contest names files that are not in {contest.folder}: {', '.join(missing)}. "
            "They are the organizers' own and not on the Hub. Put them there."
        )


def _fill_base_folder(contest: Contest, copy: Path, say: Callable[[str], None]) -> None:
    """Copy tokenizer, template and generation config to where site and grader look for the organizer's files.
    Existing files are kept.
    """
    for name in (CONFIG, *ORGANISER_FILES):
        own = contest.base_folder / name
        if (copy / name).is_file() and not own.exists():
            try:
                own.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(copy / name, own)
            except OSError as error:
                raise PrefetchError(
                    f"Cannot write {own} ({error.strerror}). Copy the base model's {name} there by hand."
                ) from error
            say(f"base model {contest.base_model.id}: {name} copied into the contest's folder")
    if not (contest.base_folder / TENSORS).exists():
        try:
            put_table(copy, contest, say)
        except (OSError, ValueError) as error:
            raise PrefetchError(f"{contest.base_folder / TENSORS}: {error}") from error


@contextmanager
def _explained(copy: Copy) -> Iterator[None]:
    """Turn anything the Hub's client raises into a message with a next step."""
    from huggingface_hub import errors

    unreachable = vars(errors)["HTTPError"]  # of httpx or httpx2
    what = f"{copy.kind} {copy.repo}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise PrefetchError(
            f"{what} is gated. Accept its terms on the Hub, then set HF_TOKEN to a token of that account."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise PrefetchError(
            f"The Hub has no {what} that you can access. Check the name in the contest file. For a private "
            "repository, set HF_TOKEN."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise PrefetchError(
            f"{what} has no revision {copy.revision}. Put a commit of its history into the contest file."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise PrefetchError(
            f"{what} is not here yet and HF_HUB_OFFLINE is set. Unset it to run prefetch."
        ) from error
    except (unreachable, errors.LocalEntryNotFoundError) as error:
        raise PrefetchError(
            f"{what} cannot be reached ({type(error).__name__}: {str(error)[:200]}). Check the network and run "
            "prefetch again. What has arrived is kept."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PrefetchError(
                f"The disk of {copy.folder} is full. Make room and run prefetch again."
            ) from error
        raise PrefetchError(f"Cannot write to {copy.folder}: {error}") from error


def find_contest(name: str) -> Contest:
    """Load a contest file by path, or by name in ``GRADER_CONTESTS`` and among the bundled ones.

    Raises:
        PrefetchError: there is none, or it cannot be read.
    """
    roots = [Path(root) for root in os.environ.get("GRADER_CONTESTS", "").split(os.pathsep) if root]
    try:
        return load(name if Path(name).is_file() else find(name, *roots))
    except ContestError as error:
        raise PrefetchError(str(error)) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("contest", help="path to a contest file, or demo, aimers8, …")
    parser.add_argument("--cache", help="where data sets go (default: GRADER_CACHE)")
    parser.add_argument("--base-models", help="where base models go (default: GRADER_BASE_MODELS)")
    parser.add_argument(
        "--pin",
        action="store_true",
        help="download nothing; print the commits to add to the contest file where it names none",
    )
    parser.add_argument(
        "--headers",
        action="store_true",
        help="download only the base model's headers; write tensors.json into the contest's folder",
    )


def run(
    contest: str,
    cache: str,
    base_models: str,
    say: Callable[[str], None],
    *,
    pin: bool = False,
    headers: bool = False,
) -> None:
    """The shared implementation of both commands. Raises PrefetchError."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise PrefetchError(
            "This needs the huggingface-hub package, which every worker has. Run it there."
        )
    into = Path(cache or os.environ.get("GRADER_CACHE") or copies.DEFAULT_CACHE).expanduser()
    models = base_models or os.environ.get("GRADER_BASE_MODELS") or into / "base_models"
    loaded = find_contest(contest)
    if headers:
        try:
            fetch_table(loaded, say)
        except (HubError, OSError, ValueError) as error:
            raise PrefetchError(f"The headers of {loaded.base_model.id}: {error}") from error
        return
    if not pin:
        prefetch(loaded, into, Path(models).expanduser(), say)
        say("ready to grade offline")
        return
    lines = list(pins(loaded, Path(models).expanduser()))
    for line in lines or [f"{loaded.id}: everything is pinned"]:
        say(line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m grader.assets.prefetch", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args()
    try:
        cache, base_models = options.cache or "", options.base_models or ""
        run(options.contest, cache, base_models, print, pin=options.pin, headers=options.headers)
    except PrefetchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
