"""Reading the Hugging Face Hub: the headers of a checkpoint without its weights, and its errors in one line."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

from baseline.errors import CliError, missing_packages, site, usage
from grader.checkpoint.safetensors import MAX_HEADER_BYTES

FIRST_BYTES = 100_000  # holds most headers, so one request a file is usually enough
CONFIGS = ("config.json", "model.safetensors.index.json")


def is_repo(name: str) -> bool:
    """``org/name`` that is not a path here."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not Path(name).exists()


def fetch_headers(repo: str, revision: str, folder: Path) -> str:
    """Put config and weights of ``repo`` into ``folder``, the weights as sparse files that hold only headers.

    The strict reader takes them as it takes whole files, because lengths and headers are the real ones.
    Returns the commit that was read.

    Raises:
        CliError: no such repository or revision, gated, out of reach, no weights.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download
    except ImportError as error:
        raise missing_packages("A model from the Hub", "huggingface_hub") from error
    with told(repo):
        facts = HfApi().model_info(repo, revision=revision or None, files_metadata=True)
    commit = str(facts.sha)
    files = {file.rfilename: file.size for file in facts.siblings or []}
    weights = sorted(n for n in files if n.endswith(".safetensors") and "/" not in n)
    if not weights:
        raise usage("MODEL_WITHOUT_WEIGHTS", f"{repo} has no .safetensors file.",
                    "Only safetensors weights are read.")  # fmt: skip
    with told(repo):
        for name in CONFIGS:
            if name in files:
                local = hf_hub_download(repo, name, revision=commit)
                (folder / name).write_bytes(Path(local).read_bytes())
        for name in weights:
            _sparse(folder / name, repo, commit, files[name])
    return commit


def _sparse(path: Path, repo: str, commit: str, size_bytes: int | None) -> None:
    head = _range(repo, commit, path.name, 0, FIRST_BYTES - 1)
    if len(head) >= 8:
        (length,) = struct.unpack("<Q", head[:8])
        if len(head) - 8 < length <= MAX_HEADER_BYTES:
            head += _range(repo, commit, path.name, len(head), 8 + length - 1)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(max(size_bytes or 0, len(head)))


def _range(repo: str, commit: str, name: str, first: int, last: int) -> bytes:
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    response = get_session().get(
        hf_hub_url(repo, name, revision=commit),
        headers={**build_hf_headers(), "Range": f"bytes={first}-{last}"},
        timeout=30.0,
    )
    hf_raise_for_status(response)
    return bytes(response.content)


class told:
    """Turns the Hub client's many exceptions into one line and a next step."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, CliError):
            raise self._in_words(error) from error

    def _in_words(self, error: Exception) -> CliError:
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            return site("HUB_GATED", f"{self.name} asks for its terms to be accepted first.",
                        "Accept them on its page, then set HF_TOKEN to a token of that account.")  # fmt: skip
        if isinstance(error, errors.RevisionNotFoundError):
            return usage("HUB_REVISION_UNKNOWN", f"{self.name} has no such revision.",
                         "Give a commit, tag or branch that its page lists.")  # fmt: skip
        if isinstance(error, errors.RepositoryNotFoundError):
            return usage("MODEL_NOT_FOUND", f"The Hub has no {self.name} that this account may see.",
                         "Check the spelling; a private one needs HF_TOKEN.")  # fmt: skip
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(
            error, errors.LocalEntryNotFoundError
        ):
            return usage("MODEL_WITHOUT_CONFIG", f"{self.name} has no config.json.",
                         "Name a repository that holds config.json and the weights.")  # fmt: skip
        text = str(error).strip()
        first = text.splitlines()[0] if text else type(error).__name__
        return site("HUB_UNREACHABLE", f"{self.name} could not be fetched from the Hub: {first}",
                    "Check the network, or download it once and give the folder.")  # fmt: skip
