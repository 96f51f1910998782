"""``heimdallr phantom``: write a synthetic chest CT whose volumes are known."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated

import typer

from services.cli.connection import JsonOption, file_errors, print_json
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series

SeedOption = Annotated[int, typer.Option(min=0, help="Varies the anatomy and the noise.")]
LungScaleOption = Annotated[
    float, typer.Option(min=0.5, max=1.2, help="Factor on the volume of the lungs.")
]


def phantom(
    folder: Annotated[Path, typer.Argument(help="Folder for the series; made if absent.")],
    seed: SeedOption = 0,
    lung_scale: LungScaleOption = 1.0,
    noise_hu: Annotated[float, typer.Option(min=0, help="Noise in Hounsfield units.")] = 10.0,
    scale: Annotated[float, typer.Option(min=0.1, max=10, help="Factor on all lengths.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Write a synthetic chest CT as a DICOM series and print its true volumes."""
    try:
        drawn = ChestCtPhantom(seed, scale=scale, lung_scale=lung_scale, noise_hu=noise_hu)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    study = PhantomStudy()
    with file_errors(folder):
        if folder.is_file():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        files = write_series(drawn, folder, study)
    volumes = {name: round(volume, 1) for name, volume in drawn.true_volumes_ml().items()}
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "files": len(files),
                "study_instance_uid": study.study_instance_uid,
                "true_volumes_ml": volumes,
            }
        )
        return
    typer.echo(f"{len(files)} slices in {folder}, study {study.study_instance_uid}")
    for name, volume in volumes.items():
        typer.echo(f"  {name:<12} {volume:>10,.1f} mL")
