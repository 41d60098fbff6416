"""A claim, the numbers measured for it on one or several networks, and the verdicts.

A chapter ends with :func:`check_claim` calls, or calls of a :class:`Checker`, which holds what they share. Each
prints its verdict and leaves it, as data, in the notebook's output, where
:func:`~bumplab.chapters.scoreboard.collect_claims` finds it for the scoreboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bumplab.chapters.claim_pages import claim_page, claim_text
from bumplab.chapters.measurements import Measurement, measure
from bumplab.chapters.networks import NETWORKS, TOY, normalise_label, normalise_place, normalise_remarks
from bumplab.chapters.ranges import Range
from bumplab.common.errors import BumplabError, quote

#: Under which a claim lies, as data, in the output of a notebook.
CLAIM_MIME = "application/vnd.bumplab.claim+json"
#: Whose claim it is: of the papers about networks, of this book about networks, or a matter of mathematics.
KINDS = ("paper", "own", "mathematics")

#: One value for each seed.
Values = float | Sequence[float]
#: A network, ``"quick"`` or ``"laptop, eps"``; or a network and the layer that the values come from.
Place = str | tuple[str, str]


@dataclass(frozen=True)
class Claim:
    """A claim and what was measured.

    Attributes
    ----------
    name : str
        Short unique name, for example ``"fig2.betti1"``.
    kind : {"paper", "own", "mathematics"}
        A claim of the papers about networks, a hypothesis of this book about networks, or something that needs no
        trained network: an identity, a simulation, a test of the code.
    source : str
        Where the claim stands: paper and figure.
    statement : str
        The claim in one sentence.
    at_least, at_most : float or None
        What we ask of the value. The papers state few such limits: they are ours. Neither for a claim that was not
        tested.
    measurements : tuple of Measurement
        One for each network and layer; the first one has the headline layer.
    note : str
        What else the reader should know.
    confounded : str
        If not empty: why a value in the range would not speak for the claim.
    tolerance : float
        How far the numbers may move from one processor to another.

    Examples
    --------
    >>> values = {"quick": [0.5, 0.6, 0.7], "laptop": [0.9, 0.91, 0.92], "paper": [0.2]}
    >>> claim = check_claim("a.b", "It works.", values, kind="own", source="ours", at_least=0.8, limits=(0, 1))
    >>> [(one.label, one.verdict) for one in claim.measurements]
    [('quick', 'undecided'), ('laptop', 'holds'), ('paper', 'undecided')]
    >>> claim.headline.label, claim.verdict  # one run of the paper's network decides nothing
    ('laptop', 'holds')
    """

    name: str
    kind: str
    source: str
    statement: str
    at_least: float | None
    at_most: float | None
    measurements: tuple[Measurement, ...]
    note: str = ""
    confounded: str = ""
    tolerance: float = 0.0

    @property
    def headline(self) -> Measurement:
        """The measurement in the first layer named on the network nearest to the paper's with at least three seeds.

        Without three seeds anywhere, on the nearest with data. A control, such as ``"laptop, regression"``, only
        where the claim is about nothing else.
        """
        return max(self._readings(), key=lambda one: one.rank)

    def on(self, network: str) -> Measurement | None:
        """Return what was measured on a network, ``"laptop-eps"``, in the first layer named; None for nothing."""
        label = normalise_label(network)
        return next((one for one in self._readings() if one.label == label and one.seeds), None)

    def _readings(self) -> list[Measurement]:
        return [one for one in self.measurements if one.layer == self.measurements[0].layer]

    @property
    def verdict(self) -> str:
        """The verdict of the headline."""
        return self.headline.verdict

    @property
    def is_untested(self) -> bool:
        """Whether nothing was asked for, and nothing measured: it stands on the board so that it is not forgotten."""
        return self.at_least is None and self.at_most is None

    @property
    def is_about_toys(self) -> bool:
        """Whether all that was measured was measured on the small networks of other papers."""
        return {one.network for one in self.measurements} == {TOY}

    @property
    def missing(self) -> tuple[str, ...]:
        """The networks that this claim was not measured on, controls apart; none for claims about toys or none."""
        there = {one.network for one in self.measurements if one.target and one.seeds}
        elsewhere = self.kind == "mathematics" or self.is_about_toys
        return () if elsewhere else tuple(name for name in NETWORKS if name not in there)

    def prediction(self) -> str:
        """Return in words what we ask of the value.

        Examples
        --------
        >>> check_claim("a.b", "It works.", [1, 2, 3], kind="mathematics", source="ours", at_least=0.5).prediction()
        'at least 0.5'
        """
        if self.is_untested:
            return "nothing"
        within = f" (within {self.tolerance:g} undecided)" if self.tolerance else ""
        return f"{Range(self.at_least, self.at_most)}{within}"

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain data, also the verdict; :meth:`from_record` undoes it."""
        record = asdict(self) | {"verdict": self.verdict, "headline": self.headline.label}
        record["measurements"] = [one.to_record() for one in self.measurements]
        return {key: value for key, value in record.items() if key not in ("confounded", "tolerance") or value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Claim:
        """Return the claim of which :meth:`to_record` gave the data; an error says that it is of another version."""
        try:
            fields = {key: value for key, value in record.items() if key not in ("verdict", "headline")}
            return cls(**{**fields, "measurements": tuple(map(Measurement.from_record, record["measurements"]))})
        except (AttributeError, KeyError, TypeError):
            raise BumplabError("a claim was written by another version of bumplab: run the chapter again.") from None

    def __str__(self) -> str:
        return claim_text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": claim_page(self), CLAIM_MIME: self.to_record()}


def check_claim(
    name: str,
    statement: str,
    values: Values | Mapping[Place, Values],
    *,
    kind: str,
    source: str,
    network: str | None = None,
    layer: str = "",
    where: str | Mapping[str, str] = "",
    at_least: float | None = None,
    at_most: float | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    yes_no: bool = False,
    digits: int = 2,
    tolerance: float = 0.0,
    confounded: str = "",
    note: str = "",
    random: bool = True,
) -> Claim:
    """Compare measured values, one per seed, with what a claim asks for, on each network.

    Parameters
    ----------
    values : float, sequence of float, or mapping of those
        One value for each seed: of `network` in `layer`, or for each network, or for each (network, layer). With none,
        or none that is finite, a measurement is undecided, and shown like the others. Where only some are not finite
        the caller decides what that means, leaves them out, and says so in `note`.
    kind : {"paper", "own", "mathematics"}
        See :class:`Claim`. Only claims about mathematics have no network.
    network : str, optional
        A preset, perhaps with a variant: ``"quick"``, ``"laptop, eps"``.
    layer : str, optional
        Where in the network, and in which reading: ``"attention2 (layer 4)"``. Of several, the one named first is the
        headline.
    where : str or mapping of str
        What else there is to say of the runs, such as the device; by network where that differs, also by some that
        this claim was not measured on.
    at_least, at_most : float, optional
        What we ask for; at least one of the two.
    limits : (float or None, float or None)
        What a value cannot go below or above, such as (0, 1) for a share: Student's interval ends there.
    yes_no : bool
        Each value is 0 or 1: the interval is Wilson's.
    digits : int
        Digits after the point to which numbers are rounded, chosen so that they are stable across machines. The
        verdict is taken from the rounded numbers, those that the reader sees.
    tolerance : float
        How far the numbers may move from one processor to another, at least 0: where they come out of steps that
        amplify rounding, such as UMAP. A verdict that such a move could change is undecided. 0 for all else, which
        is stable in its printed digits.
    confounded : str
        Why a value in the range does not speak for the claim, in a sentence; "holds" becomes "confounded".
    random : bool
        False for one value in which nothing is random, such as a number of a theory: it has no interval, and decides.

    Raises
    ------
    BumplabError
        If nothing is asked for, or what no value can be; there is no such kind or network, or one is named twice; the
        values are not one number for each seed, some are finite and others are not, one is beyond `limits` or neither
        0 nor 1 where it should be; or the tolerance is negative.

    Examples
    --------
    >>> accuracy = {"quick": [0.97, 1.0, 0.99], "laptop": [0.8]}
    >>> options = {"kind": "paper", "source": "LLF24", "limits": (0, 1)}
    >>> print(check_claim("p0.phase-c", "Bumps are right.", accuracy, at_least=0.9, **options))
    HOLDS on quick: Bumps are right. We ask for at least 0.9. quick: 0.99 [0.95, 1] (3 seeds), holds; laptop: 0.8
    (1 seed), undecided. Not measured on paper. Interval: Student, cut at 0 and 1.
    """
    if at_least is None and at_most is None:
        raise BumplabError(f"Claim {name}: say what you ask for, with at_least or at_most.")
    if kind not in KINDS:
        raise BumplabError(f"Claim {name}: its kind is one of {', '.join(KINDS)}, not {quote(kind)}.")
    if not tolerance >= 0:
        raise BumplabError(f"Claim {name}: a tolerance is at least 0, got {quote(tolerance)}.")
    by_place = values if isinstance(values, Mapping) else {network: values}
    measurements: dict[tuple[str | None, str], Measurement] = {}
    try:
        request = Range(at_least, at_most)
        remarks = {} if isinstance(where, str) else normalise_remarks(where)
        for place, numbers in by_place.items():
            label, depth = normalise_place(place, layer)
            if (label is None) != (kind == "mathematics"):
                raise BumplabError("say on which network it was measured; only one of kind mathematics has none.")
            if (label, depth) in measurements:
                raise BumplabError(f"name {', '.join(filter(None, [label, depth]))} once, got it twice.")
            measurements[label, depth] = measure(
                label, depth, numbers, request, limits, yes_no, digits, tolerance, bool(confounded),
                where if isinstance(where, str) else remarks.get(label, ""), random,
            )  # fmt: skip
    except BumplabError as error:
        raise BumplabError(f"Claim {name}: {error}") from None
    if not measurements:
        raise BumplabError(f"Claim {name}: name at least one network; an empty list says that it was not measured.")
    readings = tuple(measurements.values())
    return Claim(name, kind, source, statement, at_least, at_most, readings, note, confounded, tolerance)


@dataclass(frozen=True)
class Checker:
    """A :func:`check_claim` that knows what the claims of a chapter share.

    Attributes
    ----------
    kind, source, network, layer, where
        What :func:`check_claim` gets where a call names nothing else.

    Examples
    --------
    >>> ours = Checker(kind="own", source="this book", network="quick")
    >>> print(ours("ours.overfit", "Longer training needs more bumps.", [], at_least=1))
    UNDECIDED: Longer training needs more bumps. We ask for at least 1. Not measured on quick, laptop or paper.
    """

    kind: str
    source: str
    network: str | None = None
    layer: str = ""
    where: str | Mapping[str, str] = ""

    def __call__(self, name: str, statement: str, values: Values | Mapping[Place, Values], **options: Any) -> Claim:
        """Return what :func:`check_claim` does; `options` are its keywords, and may replace what is shared."""
        shared = {field: getattr(self, field) for field in ("kind", "source", "network", "layer", "where")}
        return check_claim(name, statement, values, **{**shared, **options})

    def untested(self, name: str, statement: str, reason: str) -> Claim:
        """Return a claim that was not tested, and why.

        Parameters
        ----------
        name, statement : str
            See :class:`Claim`.
        reason : str
            A sentence.

        Examples
        --------
        >>> papers = Checker(kind="paper", source="QLF25", network="toy")
        >>> print(papers.untested("modules.images", "A ResNet splits into modules.", "It needs hours on a GPU."))
        NOT TESTED: A ResNet splits into modules. It needs hours on a GPU.
        """
        label, depth = normalise_place(self.network, self.layer)
        nothing = measure(label, depth, [], Range())
        return Claim(name, self.kind, self.source, statement, None, None, (nothing,), reason)
