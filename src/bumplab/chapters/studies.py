"""The runs that chapters ask for: a chapter's cells tagged ``study`` are the one source of them.

These cells build a dictionary `study`, from the settings of a run to what it keeps of its weights. They need the cells
of parameters and their validation before them, and neither train nor load anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.common.errors import BumplabError
from bumplab.training.settings import Settings, preset

#: The study of the one recorded run that no chapter asks for: tests train it again.
TESTS = "tests"
_TAGS = ("parameters", "validation", "study")


def study_of(path: Path) -> dict[Settings, str]:
    """Return the runs that a chapter asks for at its default parameters, and what each keeps of its weights.

    Parameters
    ----------
    path : Path
        The chapter. Its cells tagged ``parameters``, ``validation`` and ``study`` are executed in their order.

    Returns
    -------
    dict of Settings to {"all", "half", "first", "last", "none"}
        Empty where the chapter has no cell tagged ``study``. See :func:`bumplab.runs.store.load_or_train` for what is
        kept.

    Raises
    ------
    BumplabError
        If a cell fails, or the last one leaves no dictionary named `study`.

    Examples
    --------
    >>> from bumplab.chapters.catalogue import chapter_path
    >>> study_of(chapter_path("01"))
    {}
    """
    cells = [cell for cell in read_cells(path) if set(cell["metadata"].get("tags", ())) & set(_TAGS)]
    if not any("study" in cell["metadata"]["tags"] for cell in cells):
        return {}
    namespace: dict[str, Any] = {"__name__": "__study__"}
    for cell in cells:
        where = f"{path.name}, cell {cell['id']}"
        try:
            exec(compile("".join(cell["source"]), where, "exec"), namespace)
        except Exception as error:
            raise BumplabError(f"{where} fails before anything is trained: {type(error).__name__}: {error}") from error
    study = namespace.get("study")
    if not isinstance(study, Mapping) or not all(isinstance(settings, Settings) for settings in study):
        raise BumplabError(f"The cells tagged study of {path.name} build no dictionary 'study' of settings.")
    return dict(study)


def all_studies() -> dict[str, dict[Settings, str]]:
    """Return the runs that the book records, by the name of their study.

    A run belongs to the first chapter that asks for it, and keeps the most that any chapter asks of it.
    """
    studies: dict[str, dict[Settings, str]] = {TESTS: dict.fromkeys([preset("smoke")], "all")}
    owner = {settings: TESTS for settings in studies[TESTS]}
    for path in chapter_paths():
        for settings, kept in study_of(path).items():
            study = studies.setdefault(owner.setdefault(settings, path.stem), {})
            study[settings] = _most(study.get(settings, "none"), kept, path)
    return {name: study for name, study in studies.items() if study}


def _most(one: str, other: str, path: Path) -> str:
    """Return which of two policies keeps more."""
    order = ("none", "first", "last", "half", "all")
    if {one, other} == {"first", "last"}:
        raise BumplabError(f"{path.name} asks for another moment of a run than a chapter before it: keep its weights.")
    return max(one, other, key=order.index)
