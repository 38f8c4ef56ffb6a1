"""Where the base model comes from: a folder, or a Hub repository downloaded into the Hub's cache."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from baseline.checkpoint import hub
from baseline.compression.plan import Sizes
from baseline.terminal.errors import missing_packages, usage

# What a checkpoint needs besides its weights. Code files are never downloaded or copied.
SIDE_FILES = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "LICENSE",
)
WEIGHTS = ("*.safetensors", "model.safetensors.index.json")


class Source:
    """A model by path or ``org/name``. ``config`` is read immediately; ``folder()`` downloads the weights."""

    def __init__(self, path_or_repo: str, revision: str = "") -> None:
        self.name = path_or_repo
        self.revision = revision
        self._path = Path(path_or_repo).expanduser()
        self.local = self._path.is_dir()
        if not self.local and (self._path.exists() or path_or_repo.count("/") != 1):
            raise usage(
                "MODEL_NOT_FOUND",
                f"{path_or_repo!r} is neither a model folder nor a Hub repository (org/name).",
                "Give the folder that holds config.json and the weights.",
            )
        self.config = _read_config(self._config_file())

    def folder(self) -> Path:
        """Return the folder with weights.

        Raises:
            CliError: it has no safetensors, or the Hub cannot be reached.
        """
        folder = self._path if self.local else self._fetch()
        if not any(folder.glob("*.safetensors")):
            raise usage(
                "MODEL_WITHOUT_WEIGHTS",
                f"{self.name} has no .safetensors file.",
                "Only safetensors weights are read.",
            )
        return folder.resolve()

    def weight_bytes(self) -> int:
        """Return the size of the weights; for a repository, as the Hub reports it."""
        if self.local:
            return sum(path.stat().st_size for path in self._path.glob("*.safetensors"))
        from huggingface_hub import HfApi

        with hub.told(self.name):
            facts = HfApi().model_info(
                self.name, revision=self.revision or None, files_metadata=True
            )
        weights = (f for f in facts.siblings or [] if f.rfilename.endswith(".safetensors"))
        return sum(file.size or 0 for file in weights)

    def linears(self) -> Sizes:
        """Return every linear layer with (rows, columns), from the headers without downloading the weights.

        Raises:
            CliError: no safetensors, a file that cannot be read, or the Hub cannot be reached.
        """
        from grader.checkpoint.base import headers_of
        from grader.checkpoint.dense import dense_shapes, linears_of

        with tempfile.TemporaryDirectory(prefix="baseline-headers-") as temporary:
            folder = self._path
            if not self.local:
                folder = Path(temporary)
                hub.fetch_headers(self.name, self.revision, folder)
            try:
                headers = headers_of(sorted(folder.glob("*.safetensors")))
            except (OSError, ValueError) as error:
                raise usage(
                    "MODEL_UNREADABLE",
                    f"The headers of {self.name} cannot be read: {error}",
                    "Check that the download is complete; `baseline inspect` reads them.",
                ) from error
        listed = self.config.get("architectures") or [""]
        return linears_of(str(listed[0]), dense_shapes(self.config, headers.tensors))

    def _config_file(self) -> Path:
        if self.local:
            return self._path / "config.json"
        try:
            from huggingface_hub import hf_hub_download
        except ImportError as error:
            raise missing_packages("A model from the Hub", "huggingface_hub") from error
        with hub.told(self.name):
            return Path(hf_hub_download(self.name, "config.json", revision=self.revision or None))

    def _fetch(self) -> Path:
        from huggingface_hub import snapshot_download

        with hub.told(self.name):
            return Path(
                snapshot_download(
                    self.name,
                    revision=self.revision or None,
                    allow_patterns=["config.json", *SIDE_FILES, *WEIGHTS],
                )
            )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise usage(
            "MODEL_WITHOUT_CONFIG",
            f"{path.parent} has no config.json.",
            "Give the folder that holds config.json and the weights.",
        ) from error
    except (OSError, ValueError) as error:
        raise usage("MODEL_CONFIG_UNREADABLE", f"{path} cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise usage(
            "MODEL_CONFIG_UNREADABLE",
            f"{path} is not one JSON object.",
            "Give the folder of a model; its config.json begins with {.",
        )
    wanted = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
    absent = [key for key in wanted if not _is_count(config.get(key))]
    absent += [key for key in ("head_dim", "max_position_embeddings")
               if config.get(key) is not None and not _is_count(config[key])]  # fmt: skip
    if not isinstance(config.get("architectures", []), list):
        absent.append("architectures")
    if absent:
        raise usage(
            "MODEL_NOT_A_DECODER",
            f"{path} is not a decoder model's config: no {', '.join(absent)}.",
        )
    return config


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0
