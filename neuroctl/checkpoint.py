"""Checkpoints: folders of safetensors and JSON with a manifest of hashes, written whole or not at all."""

import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import checked_integer
from .errors import DamagedFileError, FormatVersionError, NeuroctlError
from .storage import atomic_folder, atomic_write, load_tree, read_json, save_tree, sha256
from .versions import versions

FORMAT = 1
MANIFEST = "manifest.json"


def write_checkpoint(path: Path, step: int, trees: Mapping[str, Any]) -> None:
    """Write `trees` (name -> nested state) as the checkpoint folder `path`."""
    with atomic_folder(path) as folder:
        for name, tree in trees.items():
            save_tree(folder, name, tree)
        files = {file.name: sha256(file) for file in sorted(folder.iterdir())}
        manifest = {"format": FORMAT, "step": step, "files": files, "versions": versions()}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def verify_checkpoint(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint whose files are all present and unaltered.

    Raises:
        FormatVersionError: written by a newer version.
        DamagedFileError: names the file that is missing, altered, or does not belong to a checkpoint.
    """
    manifest: dict[str, Any] = read_json(path / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise DamagedFileError(f"{path / MANIFEST} is damaged: it has no format")
    if manifest["format"] > FORMAT:
        raise FormatVersionError(
            f"{path} has checkpoint format {manifest['format']}; this neuroctl reads up to {FORMAT}: update it"
        )
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("step"), int):
        raise DamagedFileError(f"{path / MANIFEST} is damaged: it has no files or no step")
    if path.name.isdigit() and int(path.name) != manifest["step"]:
        raise DamagedFileError(f"{path / MANIFEST} is damaged: it says step {manifest['step']}")
    for file in path.iterdir():
        if file.name != MANIFEST and file.name not in manifest["files"]:
            raise DamagedFileError(f"{file} does not belong to the checkpoint (not in its manifest); refused")
    for name, digest in manifest["files"].items():
        if not (path / name).is_file():
            raise DamagedFileError(f"{path / name} is missing")
        if sha256(path / name) != digest:
            raise DamagedFileError(f"{path / name} is damaged: its hash differs from the manifest")
    return manifest


def read_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """Step and trees of a verified checkpoint.

    Raises:
        DamagedFileError: see `verify_checkpoint`.
    """
    manifest = verify_checkpoint(path)
    names = sorted({Path(name).stem for name in manifest["files"]})
    return int(manifest["step"]), {name: load_tree(path, name) for name in names}


@dataclass
class Checkpoints:
    """The checkpoints of a run.

    Attributes:
        folder: where they live.
        keep: how many of the newest to keep; the best is kept besides.
    """

    folder: Path
    keep: int = 3

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        checked_integer("keep", self.keep, 1)

    def path(self, step: int) -> Path:
        """Folder of the checkpoint of `step`."""
        return self.folder / f"{step:09d}"

    def all(self) -> list[Path]:
        """Every finished checkpoint, oldest first."""
        return sorted(p for p in self.folder.glob("[0-9]*") if p.is_dir())

    def save(self, step: int, trees: Mapping[str, Any], *, best: bool = False) -> Path:
        """Write a checkpoint, point `latest` (and `best`) at it, then prune old ones.

        A sound checkpoint of this step that exists already is kept: same step, same bits.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(step)
        if path.exists():
            try:
                verify_checkpoint(path)
            except DamagedFileError:
                shutil.rmtree(path)
        if not path.exists():
            write_checkpoint(path, step, trees)
        atomic_write(self.folder / "latest", path.name)
        if best:
            atomic_write(self.folder / "best", path.name)
        self._prune()
        return path

    def _prune(self) -> None:
        kept = {p.name for p in self.all()[-self.keep :]}
        kept |= {(self.folder / n).read_text() for n in ("latest", "best") if (self.folder / n).exists()}
        for path in self.all():
            if path.name not in kept:
                shutil.rmtree(path)
        for leftover in self.folder.glob(".*.tmp-*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)

    def find(self, which: str | int = "latest") -> Path:
        """The checkpoint called `"latest"`, `"best"` or by its step.

        Raises:
            NeuroctlError: there is none of that name; lists what exists.
        """
        which = str(which)
        pointer = self.folder / which
        name = pointer.read_text().strip() if pointer.is_file() else which
        path = self.folder / (name.lstrip("0").zfill(len(self.path(0).name)) if name.isdecimal() else name)
        if not name or not path.is_dir():
            known = ", ".join(p.name.lstrip("0") or "0" for p in self.all()) or "none"
            raise NeuroctlError(f"no checkpoint {which!r} in {self.folder}; steps there: {known}")
        return path

    def load(self, which: str | int = "latest") -> tuple[int, dict[str, Any]]:
        """Step and trees of a checkpoint.

        When the newest one is damaged, that is said in a warning and the newest sound one is used.

        Raises:
            DamagedFileError: the checkpoint asked for, or every one, is damaged.
        """
        if which != "latest":
            return read_checkpoint(self.find(which))
        paths, damage = self.all(), list[str]()
        for path in reversed(paths):
            try:
                result = read_checkpoint(path)
            except (DamagedFileError, FileNotFoundError) as error:
                damage.append(str(error))
                continue
            for line in damage:
                warnings.warn(f"{line}; going on from {path}", RuntimeWarning, stacklevel=2)
            return result
        if self.all() != paths:  # a training took them away for newer ones
            return self.load()
        raise DamagedFileError("; ".join(damage) or f"no checkpoint in {self.folder}")
