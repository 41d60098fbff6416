"""Power laws through what several seeds say at several places, where some of them say nothing.

A seed whose curve never comes to a level has no number there, or 0, or infinity; laws pass through the others, and
where too few are left there is no law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bumplab.common.curves import PowerLaw, fit_log_log


def fit_power_law(values: Mapping[float, Sequence[float]]) -> PowerLaw | None:
    """Fit a power law to the values of all seeds, or return None where that is too little.

    Parameters
    ----------
    values : mapping of float to sequence of float
        For each x the values y, one for each seed. Those that are not above 0 and finite are left out.

    Returns
    -------
    PowerLaw or None
        None for fewer than three values, or values at a single x.

    Examples
    --------
    >>> law = fit_power_law({1: [2.0, 2.0], 10: [200.0, np.nan]})
    >>> round(law.exponent, 6), law.n
    (2.0, 3)
    >>> fit_power_law({1: [2.0, 2.0], 10: [np.inf]}) is None
    True
    """
    points = [(x, y) for x, several in values.items() for y in several if 0 < y < np.inf]
    if len(points) < 3 or len({x for x, _ in points}) < 2:
        return None
    return fit_log_log(*zip(*points, strict=True))


def fit_power_law_by_seed(values: Mapping[float, Sequence[float]]) -> list[PowerLaw]:
    """Fit the power law of each seed, of those that have one.

    Parameters
    ----------
    values : mapping of float to sequence of float
        As for :func:`fit_power_law`; place k of every sequence belongs to seed k. Some may be shorter.

    Returns
    -------
    list of PowerLaw
        In the order of the seeds, without those that have fewer than three values.

    Examples
    --------
    >>> [round(law.exponent, 6) for law in fit_power_law_by_seed({1: [1.0, 1.0], 2: [2.0, 4.0], 4: [4.0, 16.0]})]
    [1.0, 2.0]
    """
    seeds = max(map(len, values.values()), default=0)
    laws = (fit_power_law({x: several[k : k + 1] for x, several in values.items()}) for k in range(seeds))
    return [law for law in laws if law is not None]
