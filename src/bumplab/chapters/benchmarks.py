"""Results of ``make bench``: reading them, and comparing durations of which some are only known to exceed a cap.

A result is a JSON file named by what was measured, with ``machine`` (where and when) beside the numbers. Those of a
training hold ``library``, ``words``, ``parameters``, ``images_per_second``, ``seconds`` and ``curve``, a list of
measurements with ``seconds`` of training, ``step``, ``loss`` and ``accuracy``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import disk_errors, read_text

if TYPE_CHECKING:
    import pandas

#: Joint accuracy at which a training counts as done.
TARGET_ACCURACY = 0.95
#: Seconds that ``benchmarks/gpu.py`` may take.
GPU_LIMIT = 240.0


@dataclass(frozen=True)
class CensoredTime:
    """Seconds until something was reached; where `reached` is false, all that is known is that it takes longer.

    Attributes
    ----------
    seconds : float
    reached : bool

    Examples
    --------
    >>> print(CensoredTime(9.5, reached=True), "|", CensoredTime(60, reached=False))
    9.5 | more than 60
    """

    seconds: float
    reached: bool

    def __str__(self) -> str:
        return f"{self.seconds:.1f}" if self.reached else f"more than {self.seconds:.0f}"

    def ratio_to(self, other: CensoredTime) -> str:
        """Return in words how many times as long as `other` this took, with a bound where one of them has only that.

        Parameters
        ----------
        other : CensoredTime

        Returns
        -------
        str
            ``"unknown"`` where neither was reached.

        Examples
        --------
        >>> CensoredTime(60, reached=False).ratio_to(CensoredTime(20, reached=True))
        'at least 3'
        """
        times = f"{self.seconds / other.seconds:.2g}"
        if self.reached and other.reached:
            return times
        if other.reached:
            return f"at least {times}"
        return f"at most {times}" if self.reached else "unknown"


def time_to(curve: Sequence[dict[str, float]], target: float = TARGET_ACCURACY) -> CensoredTime:
    """Return the seconds of training at the first measurement with at least the `target` accuracy.

    Parameters
    ----------
    curve : sequence of dict
        Measurements in their order, with ``seconds`` and ``accuracy``.
    target : float
        0 to 1.

    Returns
    -------
    CensoredTime
        Where no measurement comes to the target, the seconds of the last one, not reached.

    Raises
    ------
    BumplabError
        If nothing was measured.

    Examples
    --------
    >>> curve = [{"seconds": 4.0, "accuracy": 0.5}, {"seconds": 8.0, "accuracy": 0.97}]
    >>> print(time_to(curve), "|", time_to(curve, target=0.99))
    8.0 | more than 8
    """
    if not curve:
        raise BumplabError("A curve without a measurement has no duration: train longer, or measure more often.")
    reached = (point["seconds"] for point in curve if point["accuracy"] >= target)
    first = next(reached, None)
    return CensoredTime(curve[-1]["seconds"], False) if first is None else CensoredTime(first, True)


def median_time(durations: Sequence[CensoredTime]) -> CensoredTime:
    """Return the middle one of an odd number of durations; one that was not reached is longer than any that was.

    Parameters
    ----------
    durations : sequence of CensoredTime

    Returns
    -------
    CensoredTime

    Raises
    ------
    BumplabError
        For an even number: its median would mix what is known with what is not.

    Examples
    --------
    >>> print(median_time([CensoredTime(5, True), CensoredTime(60, False), CensoredTime(9, True)]))
    9.0
    """
    if len(durations) % 2 == 0:
        raise BumplabError(f"A median takes an odd number of durations, got {len(durations)}.")
    return sorted(durations, key=lambda d: (not d.reached, d.seconds))[len(durations) // 2]


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every result in a folder by its name, in alphabetical order.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to dict
        By the file's name without ``.json``.

    Raises
    ------
    BumplabError
        If there is none, or a file is not a result.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "fast.json").write_text('{"machine": {"cores": 2}, "seconds": 1.5}')
    ...     read_results(Path(folder))
    {'fast': {'machine': {'cores': 2}, 'seconds': 1.5}}
    """
    results = {}
    for path in sorted(Path(folder).glob("*.json")):
        try:
            with disk_errors(path, "read", "delete it and measure again"):
                text = read_text(path)
            content = json.loads(text)
            if not isinstance(content["machine"], dict):
                raise TypeError
        except BumplabError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BumplabError(
                f"{path} is damaged or not a result of make bench; delete it and measure again."
            ) from None
        results[path.stem] = content
    if not results:
        raise BumplabError(f"There are no results in the folder {quote(str(folder))}: make bench writes some.")
    return results


@dataclass(frozen=True)
class Timing:
    """A row of the table of ``benchmarks/gpu.py``.

    Attributes
    ----------
    what, precision : str
    value : float or None
        None where it is not measured.
    unit : str
        Of value and target; may be empty.
    target : float, optional
        What the value may be at most, or has to be at least.
    at_least : bool
    reason : str
        Why it is not measured.

    Examples
    --------
    >>> row = Timing("quick, one run", "bf16", 1.512, "s", target=2)
    >>> row.measured, row.met
    ('1.512 s', True)
    >>> Timing("compiled", "", None, "", reason="there is no compiler").measured
    'not measured'
    """

    what: str
    precision: str
    value: float | None
    unit: str
    target: float | None = None
    at_least: bool = False
    reason: str = ""

    @property
    def measured(self) -> str:
        """The value in words."""
        return "not measured" if self.value is None else f"{self.value:.4g} {self.unit}".strip()

    @property
    def met(self) -> bool | None:
        """Whether the value keeps to the target; None without either. What is not a number does not."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def to_record(self) -> dict[str, Any]:
        """Return the row as it is written, with ``met``."""
        return asdict(self) | {"met": self.met}


def timing_table(records: Sequence[dict[str, Any]]) -> pandas.DataFrame:
    """Return rows of ``benchmarks/gpu.py``, as they are written, as a table of words.

    Parameters
    ----------
    records : sequence of dict
        See :meth:`Timing.to_record`.

    Examples
    --------
    >>> row = Timing("quick, one run", "bf16", 2.5, "s", target=2)
    >>> timing_table([row.to_record()]).iloc[0].tolist()
    ['quick, one run', 'bf16', '2.5 s', 'at most 2 s', 'no']
    """
    import pandas

    rows = []
    for record in records:
        row = Timing(**{name: value for name, value in record.items() if name != "met"})
        bound = "" if row.target is None else f"at {'least' if row.at_least else 'most'} {row.target:g} {row.unit}"
        met = {True: "yes", False: "no", None: ""}[row.met]
        rows.append([row.what, row.precision, row.measured, bound.strip(), met])
    return pandas.DataFrame(rows, columns=["what", "precision", "measured", "target", "met"])
