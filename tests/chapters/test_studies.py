"""A chapter's study cells are the one source of its runs."""

import json

import pytest

from bumplab.chapters import studies
from bumplab.chapters.studies import all_studies, network_of, select_studies, study_of
from bumplab.common.errors import BumplabError
from bumplab.training.settings import preset

PARAMETERS = "seeds: int = 2"
VALIDATION = "from bumplab import chapters, training\n\nparams = chapters.parameters(globals())"
STUDY = "study = {training.preset('smoke', seed=seed): 'none' for seed in range(params.seeds)}"


def chapter(folder, *cells, name="02-small"):
    """Write a chapter of cells (tag, source)."""
    content = [
        {"cell_type": "code", "id": f"{tag}-{number}", "metadata": {"tags": [tag]}, "source": source.splitlines(True)}
        for number, (tag, source) in enumerate(cells)
    ]
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": content, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_study_needs_its_cells_alone(tmp_path):
    cells = ("parameters", PARAMETERS), ("validation", VALIDATION), ("story", "1 / 0"), ("study", STUDY)
    expected = {preset("smoke", seed=0): "none", preset("smoke", seed=1): "none"}
    assert study_of(chapter(tmp_path, *cells)) == expected


def test_a_chapter_without_a_study_asks_for_nothing(tmp_path):
    assert study_of(chapter(tmp_path, ("parameters", PARAMETERS), ("validation", "1 / 0"))) == {}


@pytest.mark.parametrize(
    "study, sentence",
    [
        ("1 / 0", "02-small.ipynb, cell study-2 fails before anything is trained: ZeroDivisionError: division by zero"),
        ("studies = {}", "The cells tagged study of 02-small.ipynb build no dictionary 'study' of settings."),
        ("study = {1: 'none'}", "The cells tagged study of 02-small.ipynb build no dictionary 'study' of settings."),
    ],
)
def test_a_study_that_is_none_is_refused_in_one_sentence(tmp_path, study, sentence):
    path = chapter(tmp_path, ("parameters", PARAMETERS), ("validation", VALIDATION), ("study", study))
    with pytest.raises(BumplabError) as error:
        study_of(path)
    assert str(error.value) == sentence


def test_a_run_belongs_to_the_first_chapter_and_keeps_the_most_of_all(tmp_path, monkeypatch):
    more = STUDY.replace("'none'", "'half'").replace("params.seeds", "3")
    cells = ("parameters", PARAMETERS), ("validation", VALIDATION)
    paths = [
        chapter(tmp_path, *cells, ("study", STUDY)),
        chapter(tmp_path, *cells, ("study", more), name="03-small"),
    ]
    monkeypatch.setattr(studies, "chapter_paths", lambda: paths)
    zero, one, two = (preset("smoke", seed=seed) for seed in range(3))
    assert all_studies() == {"tests": {zero: "all"}, "02-small": {one: "half"}, "03-small": {two: "half"}}


def test_two_moments_of_one_run_are_refused(tmp_path, monkeypatch):
    cells = ("parameters", PARAMETERS), ("validation", VALIDATION)
    paths = [
        chapter(tmp_path, *cells, ("study", STUDY.replace("none", moment)), name=f"0{number}-small")
        for number, moment in ((2, "first"), (3, "last"))
    ]
    monkeypatch.setattr(studies, "chapter_paths", lambda: paths)
    with pytest.raises(BumplabError, match="03-small.ipynb asks for another moment of a run"):
        all_studies()


BY_PRESET = """\
base = training.preset(params.preset)
study = {base.replace(seed=seed, training=base.training.for_steps(9, snapshots=())): "half" for seed in range(2)}
study[training.preset("quick")] = "none"
"""


@pytest.fixture
def chapters_by_preset(tmp_path, monkeypatch):
    """Let the book have a chapter with a parameter `preset`, and one without."""
    one = ("parameters", 'preset: str = "quick"'), ("validation", VALIDATION), ("study", BY_PRESET)
    other = ("parameters", PARAMETERS), ("validation", VALIDATION), ("study", STUDY.replace("seed=seed", "seed=7"))
    paths = [chapter(tmp_path, *one), chapter(tmp_path, *other, name="03-small")]
    monkeypatch.setattr(studies, "chapter_paths", lambda: paths)


def test_a_preset_asks_chapters_what_they_need_with_it_and_takes_the_runs_of_its_network(chapters_by_preset):
    for network in ("quick", "paper"):
        base = preset(network)
        short = [base.replace(seed=seed, training=base.training.for_steps(9, snapshots=())) for seed in range(2)]
        more = {base: "none"} if network == "quick" else {}
        assert select_studies([], network) == {"02-small": dict.fromkeys(short, "half") | more}
    assert select_studies(["03-small"], "smoke") == {"03-small": {preset("smoke", seed=7): "none"}}
    assert select_studies([], "quick", everywhere=False) == select_studies([], "quick")
    with pytest.raises(BumplabError, match="Study 02-small asks for no run of network paper, but for 3 of quick"):
        select_studies(["02-small"], "paper", everywhere=False)
    assert select_studies() == all_studies() and select_studies(["02-small"]).keys() == {"02-small"}


@pytest.mark.parametrize(
    "names, network, sentence",
    [
        (["02-small", "03-small"], "quick", "Study 03-small asks for no run of network quick, but for 1 of smoke."),
        (["nope"], None, "There is no study 'nope': use one of tests, 02-small, 03-small."),
        ([], "nope", "There is no preset 'nope': use one of smoke, quick, laptop, laptop-v, laptop-eps, paper."),
    ],
)
def test_a_study_without_such_runs_is_refused(names, network, sentence, chapters_by_preset):
    with pytest.raises(BumplabError) as error:
        select_studies(names, network)
    assert str(error.value) == sentence


def test_a_network_is_told_by_its_size_whatever_it_learns():
    for name in ("smoke", "quick", "laptop", "laptop-v", "laptop-eps", "paper"):
        changed = preset(name, seed=3, model={"mu_frequency": 0.5}, diffusion={"prediction_type": "v"})
        assert network_of(changed.replace(training={"steps": 100_000})) == name.split("-")[0]
    assert network_of(preset("quick", model={"patch": 2})) == "none"


def test_every_chapter_with_models_can_be_asked_for_the_network_of_the_paper():
    found = {name: set(map(network_of, study)) for name, study in select_studies([], "paper").items()}
    assert found and set(map(frozenset, found.values())) == {frozenset({"paper"})}
