"""The computed part of the models page: what each named network is, and what its recorded runs can do."""

from __future__ import annotations

from collections.abc import Sequence

import pandas

from bumplab.chapters.measurements import VERDICTS
from bumplab.chapters.networks import normalise_label
from bumplab.chapters.scoreboard import Scoreboard
from bumplab.common.parsing import flatten
from bumplab.common.statistics import t_interval
from bumplab.models.unet import UNet
from bumplab.training.settings import Settings, preset

#: The networks that have a card of their own.
CARDS = ("quick", "laptop", "laptop-v", "laptop-eps", "paper")
#: The world of a card: one bump of width 1, every pixel shown.
_WORLD = {"world.kind": "bump", "world.size": 32, "world.fraction": 1.0}
_SIZES = {"world.sigma.x": 1.0, "world.sigma.y": 1.0, "world.spacing.x": 1.0, "world.spacing.y": 1.0}
#: What else makes a network and its training, and distinguishes rows of one table.
_TRAINED = ["diffusion.kind", "diffusion.prediction_type", "training.steps", "world.periodic"]
_TARGETS = {"x0": "the clean image (x0)", "eps": "the noise (eps)", "v": "the velocity (v)"}


def card_texts(runs: pandas.DataFrame, board: Scoreboard) -> dict[str, str]:
    """Return the computed part of each card, and of the table of other networks."""
    cards = {name: _card(name, runs, board) for name in CARDS}
    return {**cards, "variants": _variants(runs)}


def runs_of(runs: pandas.DataFrame, name: str) -> pandas.DataFrame:
    """Return the runs of a preset in the world of its card, wrapped round or not: one for each world and seed.

    They may have measured their accuracy on the way at other steps, and kept other snapshots.
    """
    settings = flatten(preset(name).model_dump(mode="json"))
    own = {
        column: str(value) if isinstance(value, list) else value
        for column, value in settings.items()
        if column.startswith(("model.", "diffusion.", "training."))
        and column not in ("training.snapshots", "training.evaluate_every", "training.evaluate_on")
    }
    return _one_for_each_seed(_whole(runs[_are(runs, own)]))


def accuracy_text(shares: Sequence[float]) -> str:
    """Return the mean of shares, one for each seed, with Student's 95 % interval, cut at 0 and 1."""
    mean, low, high = t_interval(shares, 0, 1) if len(shares) > 1 else (shares[0], None, None)
    ends = f" [{low:.3f}, {high:.3f}]" if len(shares) > 2 else ""
    return f"{mean:.3f}{ends}, {len(shares)} seed{'s' * (len(shares) > 1)}"


def _card(name: str, runs: pandas.DataFrame, board: Scoreboard) -> str:
    settings = preset(name)
    mine = runs_of(runs, name)
    kept = mine[mine["weights"]]
    label = normalise_label(name)
    network, _, _ = label.partition(", ")
    target = settings.diffusion.prediction_type
    others = runs[_are(runs, {"network": network, "diffusion.kind": "diffusion", "diffusion.prediction_type": target})]
    rows = [
        ("network", _network(settings)),
        ("predicts", _TARGETS[target]),
        ("training data", _data(settings)),
        ("training", _training(settings)),
        ("drawing", _drawing(settings)),
        *((f"accuracy, {world}", accuracy_text(shares)) for world, shares in _by_world(mine)),
        *((("accuracy", "no run of it is recorded yet"),) if mine.empty else ()),
        ("recorded runs of this network and target", f"{len(others):,}{_studies(others)}"),
        ("claims of the papers on it", _claims(label, board)),
    ]
    if len(mine):
        seconds = mine["provenance.seconds"]
        device = ", ".join(mine["provenance.device"].unique())
        rows.append(
            ("trained on", f"{device}, one thread, {seconds.min():,.0f} to {seconds.max():,.0f} s beside other work")
        )
    if len(kept):
        rows.append(("weights", _weights(kept)))
    table = "\n".join(["| | |", "|---|---|", *(f"| {title} | {words} |" for title, words in rows)])
    return f"{table}\n\n{_load(name, kept)}"


def _network(settings: Settings) -> str:
    model = settings.model
    sight = "single pixels" if model.patch == 1 else f"patches of {model.patch} x {model.patch} pixels"
    widths = "-".join(map(str, model.widths))
    return (
        f"conditional UNet on {sight}, {UNet(model).size():,} weights; channels {widths}, "
        f"{model.bottleneck_channels} in the bottleneck; attention after each of six blocks"
    )


def _data(settings: Settings) -> str:
    world = settings.world
    count = int(world.size / world.spacing[0]) ** 2
    return (
        f"synthetic: {count:,} grey images of {world.size} x {world.size} pixels, one for each place of a Gaussian "
        f"bump of width {world.sigma[0]:g}, made by `bumplab.worlds`; no data of persons"
    )


def _training(settings: Settings) -> str:
    training = settings.training
    return (
        f"{training.steps:,} steps of {training.batch} images, AdamW at {training.learning_rate:g} "
        f"({training.lr_schedule}), average of the weights {training.ema_decay:g}; "
        f"{settings.diffusion.timesteps:,} levels of noise, {settings.diffusion.schedule}"
    )


def _drawing(settings: Settings) -> str:
    training = settings.training
    return f"{'DDPM' if training.sampler_eta else 'DDIM'}, {training.sampler_steps} steps"


def _by_world(runs: pandas.DataFrame) -> list[tuple[str, list[float]]]:
    groups = runs.groupby("world.periodic")["seen.joint"]
    return [("torus" if periodic else "bounded world", list(shares)) for periodic, shares in groups]


def _studies(runs: pandas.DataFrame) -> str:
    names = sorted(runs["study"].unique())
    return f", in {', '.join(names)}" if names else ""


def _claims(label: str, board: Scoreboard) -> str:
    claims = [claim for _, claim in board.of_kind("paper").rows if not claim.is_about_toys]
    verdicts = [one.verdict for claim in claims if (one := claim.on(label)) and one.seeds]
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts]
    return f"{len(verdicts)} of {len(claims)} measured" + (f", verdicts: {', '.join(counts)}" if counts else "")


def _weights(kept: pandas.DataFrame) -> str:
    places = []
    for (study, periodic), part in kept.groupby(["study", "world.periodic"]):
        seeds = ", ".join(map(str, sorted(part["seed"])))
        world = "torus" if periodic else "bounded world"
        places.append(f"seeds {seeds} ({world}) in `book/runs/{study}/weights`")
    return "; ".join(places)


def _load(name: str, kept: pandas.DataFrame) -> str:
    """Return the lines that load a network, a recorded one where there is one."""
    periodic = len(kept) and bool(kept["world.periodic"].all())
    changes = ', world={"periodic": True}' if periodic else ""
    lines = [
        "from bumplab import runs, training",
        "",
        f'run = runs.load_or_train(training.preset("{name}"{changes}))',
        "model = run.model()",
    ]
    return "\n".join(["```python", *lines, "```"])


def _variants(runs: pandas.DataFrame) -> str:
    """Return a table of the networks without a card that were trained on all of a card's world."""
    named = {id for name in CARDS for id in _whole(runs)[_same(runs, name)]["id"]}
    rest = _whole(runs)[lambda table: ~table["id"].isin(named) & (table["network"] != "smoke")]
    lines = ["| network | predicts | world | steps | accuracy |", "|---|---|---|---|---|"]
    for (widths, patch, kind, target, steps, periodic), part in rest.groupby(
        ["model.widths", "model.patch", *_TRAINED], sort=True
    ):
        name = part["network"].iloc[0]
        network = f"`{name}`" if name != "none" else f"channels {'-'.join(widths[1:-1].split(', '))}, patch {patch}"
        control = " without noise (regression)" if kind == "regression" else ""
        shares = list(_one_for_each_seed(part)["seen.joint"])
        world = "torus" if periodic else "bounded"
        lines.append(f"| {network} | {target}{control} | {world} | {steps:,} | {accuracy_text(shares)} |")
    return "\n".join(lines)


def _same(runs: pandas.DataFrame, name: str) -> pandas.Series:
    settings = preset(name)
    label = normalise_label(name).partition(", ")[0]
    own = {
        "network": label,
        "diffusion.kind": settings.diffusion.kind,
        "diffusion.prediction_type": settings.diffusion.prediction_type,
        "training.steps": settings.training.steps,
    }
    return _are(_whole(runs), own)


def _whole(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Return the runs that were shown all of a card's world."""
    shown = runs["world.held_out"].isna() & runs["world.subsample_region"].isna() & (runs["world.margin"] == 0)
    return runs[shown & _are(runs, _WORLD | _SIZES)]


def _are(runs: pandas.DataFrame, values: dict) -> pandas.Series:
    """Return which runs have these values."""
    same = pandas.Series(True, index=runs.index)
    for column, value in values.items():
        same &= runs[column] == value
    return same


def _one_for_each_seed(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Return one run for each world and seed, one whose weights are kept before one without."""
    ordered = runs.sort_values(["world.periodic", "seed", "weights", "study"], ascending=[True, True, False, True])
    return ordered.drop_duplicates(["world.periodic", "seed"])
