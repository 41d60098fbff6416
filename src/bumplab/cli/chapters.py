"""``bumplab rerun``: a chapter with other parameters."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("chapter")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the chapter.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Executed notebook [CHAPTER-out.ipynb].")
@click.option("--list", "show", is_flag=True, help="Show the chapter's parameters and their defaults; run nothing.")
def rerun(chapter: str, pairs: tuple[tuple[str, str], ...], out: Path | None, show: bool) -> None:
    """Re-run CHAPTER (01-worlds, or just 01) with other parameters; they are checked before anything runs."""
    from bumplab.chapters import execution
    from bumplab.chapters.catalogue import chapter_path, declared_parameters

    path = chapter_path(chapter)
    if show:
        for name, (kind, default) in declared_parameters(path).items():
            click.echo(f"{name}: {kind.__name__} = {default!r}")
        return
    out = out or Path(f"{path.stem}-out.ipynb")
    execution.rerun(path, dict(pairs), out)
    click.echo(f"{out}")
