"""Models as they lie in Triton's repository."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from services.analysis.structures import LABELLED


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a result states of the model that made it.

    Attributes:
        name: Name in the repository.
        version: Version folder in use.
        description: What it is for and what it is not for.
        modalities: Modalities it takes.
        labels: Structures in label order from 1.
        license: SPDX identifier.
        weights_sha256: SHA-256 of its weights, or of its source files where it has none.
    """

    name: str
    version: str
    description: str
    modalities: tuple[str, ...]
    labels: tuple[str, ...]
    license: str
    weights_sha256: str


def ct_tissue_card(repository: Path) -> ModelCard:
    """Return the card of ct_tissue.

    Raises:
        FileNotFoundError: The repository does not hold it.
    """
    return ModelCard(
        name="ct_tissue",
        version="1",
        description=(
            "Labels lungs, airways, bone, fat and soft tissue in the muscle range on axial trunk "
            "CT by Hounsfield thresholds and morphology, without weights. Not for other "
            "modalities, heads or small children, and not for diagnosis."
        ),
        modalities=("CT",),
        labels=tuple(structure.name for structure in LABELLED),
        license="Apache-2.0",
        weights_sha256=source_sha256(repository / "ct_tissue", "1"),
    )


def source_sha256(model: Path, version: str) -> str:
    """Hash the configuration and the source files of a model that has no weights.

    Args:
        model: The model's folder.
        version: Its version folder.

    Returns:
        SHA-256 over each file's relative path and SHA-256, in path order.

    Raises:
        FileNotFoundError: There is no such model.
    """
    files = [model / "config.pbtxt", *sorted((model / version).rglob("*.py"))]
    if len(files) == 1:
        raise FileNotFoundError(f"{model.name} has no version {version}")
    digest = hashlib.sha256()
    for file in files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(model).as_posix()} {content}\n".encode())
    return digest.hexdigest()
