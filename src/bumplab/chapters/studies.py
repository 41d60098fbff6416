"""The runs that chapters ask for: a chapter's cells tagged ``study`` are the one source of them.

These cells build a dictionary `study`, from the settings of a run to what it keeps of its weights. They need the cells
of parameters and their validation before them, and neither train nor load anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.common.errors import BumplabError, quote
from bumplab.common.run_settings import RunSettings
from bumplab.training.presets import PRESETS
from bumplab.training.settings import Settings, preset

#: The study of the one recorded run that no chapter asks for: tests train it again.
TESTS = "tests"
#: What a run may keep of its weights, from the least to the most.
_ORDER = ("none", "first", "last", "half", "all")
_TAGS = ("parameters", "validation", "study")


def study_of(path: Path, network: str | None = None) -> dict[RunSettings, str]:
    """Return the runs that a chapter asks for at its default parameters, and what each keeps of its weights.

    Parameters
    ----------
    path : Path
        The chapter. Its cells tagged ``parameters``, ``validation`` and ``study`` are executed in their order.
    network : str, optional
        Value of the chapter's parameter ``preset`` in place of the default one, where it has that parameter.

    Returns
    -------
    dict of RunSettings to {"all", "half", "first", "last", "none"}
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
            if network is not None and "parameters" in cell["metadata"]["tags"] and "preset" in namespace:
                namespace["preset"] = network
        except Exception as error:
            raise BumplabError(f"{where} fails before anything is trained: {type(error).__name__}: {error}") from error
    study = namespace.get("study")
    if not isinstance(study, Mapping) or not all(isinstance(settings, RunSettings) for settings in study):
        raise BumplabError(f"The cells tagged study of {path.name} build no dictionary 'study' of settings.")
    return dict(study)


def all_studies(network: str | None = None) -> dict[str, dict[RunSettings, str]]:
    """Return the runs that the book records, by the name of their study.

    A run belongs to the first chapter that asks for it, and keeps the most that any chapter asks of it.

    Parameters
    ----------
    network : str, optional
        See :func:`study_of`.
    """
    studies: dict[str, dict[RunSettings, str]] = {TESTS: dict.fromkeys([preset("smoke")], "all")}
    owner = {settings: TESTS for settings in studies[TESTS]}
    for path in chapter_paths():
        for settings, kept in study_of(path, network).items():
            study = studies.setdefault(owner.setdefault(settings, path.stem), {})
            study[settings] = _most(study.get(settings, "none"), kept, path)
    return {name: study for name, study in studies.items() if study}


def select_studies(
    names: Sequence[str] = (), network: str | None = None, everywhere: bool = True
) -> dict[str, dict[RunSettings, str]]:
    """Return some of the runs that chapters ask for, by the name of their study.

    Parameters
    ----------
    names : sequence of str
        Of studies; all of them unless given.
    network : str, optional
        Name of a preset: only runs of its network are taken, see :func:`network_of`.
    everywhere : bool
        Ask chapters what they need where their parameter ``preset`` has the value `network`; else at their default
        parameters, which is what the book records.

    Raises
    ------
    BumplabError
        If there is no such study or preset, or a study asks for no run of that network.

    Examples
    --------
    >>> {name: list(study.values()) for name, study in select_studies(["tests"], "smoke").items()}
    {'tests': ['all']}
    >>> select_studies(["tests"], "paper")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Study tests asks for no run of network paper, but for 1 of smoke.
    """
    wanted = None if network is None else network_of(preset(network))
    studies = all_studies(network if everywhere else None)
    for name in names:
        if name not in studies:
            raise BumplabError(f"There is no study {quote(name)}: use one of {', '.join(studies)}.")
    chosen = {name: study for name, study in studies.items() if name in names or not names}
    if network is None:
        return chosen
    taken = {
        name: {settings: kept for settings, kept in study.items() if network_of(settings) == wanted}
        for name, study in chosen.items()
    }
    for name in names:
        if not taken[name]:
            networks = [network_of(settings) for settings in chosen[name]]
            counts = ", ".join(f"{networks.count(each)} of {each}" for each in dict.fromkeys(networks))
            raise BumplabError(f"Study {name} asks for no run of network {network}, but for {counts}.")
    return {name: study for name, study in taken.items() if study}


def network_of(settings: RunSettings) -> str:
    """Return the name of the preset whose network this is, "none" where it is of none.

    A network is what presets tell apart: widths, depth, patch and the like, not how conditions are encoded in
    frequency, for how long it trains, or what it predicts.

    Examples
    --------
    >>> network_of(preset("paper", model={"mu_frequency": 0.25}, training={"steps": 10, "snapshots": ()}))
    'paper'
    """
    fields, networks = _networks()
    if not isinstance(settings, Settings):
        return "none"
    mine = settings.model.model_dump(include=fields)
    return next((name for name, network in networks.items() if network == mine), "none")


@cache
def _networks() -> tuple[set[str], dict[str, dict[str, Any]]]:
    """Return what presets tell apart in a network, and each preset's values."""
    fields = {field for changes in PRESETS.values() for field in changes.get("model", {})}
    return fields, {name: preset(name).model.model_dump(include=fields) for name in PRESETS}


def limit_weights(studies: Mapping[str, Mapping[RunSettings, str]], most: str) -> dict[str, dict[RunSettings, str]]:
    """Return studies whose runs keep at most "none", "half" or "all" of their weights; toys, being small, know no half.

    Raises
    ------
    BumplabError
        If `most` is none of these.

    Examples
    --------
    >>> list(limit_weights({"tests": {preset("smoke"): "all"}}, "half")["tests"].values())
    ['half']
    """
    if most not in ("none", "half", "all"):
        raise BumplabError(f"Runs can be told to keep at most none, half or all of their weights, got {quote(most)}.")
    return {
        name: {
            settings: min(kept, most, key=_ORDER.index) if isinstance(settings, Settings) or most == "none" else kept
            for settings, kept in study.items()
        }
        for name, study in studies.items()
    }


def _most(one: str, other: str, path: Path) -> str:
    """Return which of two policies keeps more."""
    if {one, other} == {"first", "last"}:
        raise BumplabError(f"{path.name} asks for another moment of a run than a chapter before it: keep its weights.")
    return max(one, other, key=_ORDER.index)
