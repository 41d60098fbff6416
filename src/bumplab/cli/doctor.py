"""``bumplab doctor``: what is installed and in use."""

from __future__ import annotations

import click

import bumplab
from bumplab.cli.options import device_option, precision_option

_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "umap-learn", "ripser", "matplotlib", "pydantic", "papermill")


@click.command()
@device_option
@precision_option
def doctor(device: str, precision: str) -> None:
    """Say what is installed, which device and precision will be used, and where runs are stored."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from bumplab.chapters.catalogue import stray_notebooks
    from bumplab.runs.store import usable_stores
    from bumplab.training.device import device_name, pick_device, pick_precision

    place = pick_device(device)
    precision = pick_precision(place, precision)
    click.echo(
        f"bumplab {bumplab.__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    for library in _LIBRARIES:
        try:
            click.echo(f"  {library} {version(library)}")
        except PackageNotFoundError:
            click.echo(f"  {library} is missing: pip install {library}")
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} cores"
    click.echo(f"device: {device_name(place)}, precision {precision}, {threads}")
    if place.type == "cpu":
        click.echo("hint: no GPU in use. Presets quick and laptop need none; preset paper does.")
        click.echo("      On Colab: Runtime, Change runtime type, T4 GPU.")
    places, unusable = usable_stores()
    for words, store in zip(("recorded runs", "new runs"), places, strict=False):
        click.echo(f"{words}: {len(list(store.ids()))} in {store.folder}")
        for error in store.problems():
            click.echo(f"  damaged: {error}")
    for error in unusable:
        click.echo(f"new runs: nowhere. {error}")
    for path in stray_notebooks():
        click.echo(f"ignored: {path}, which _toc.yml does not name.")
