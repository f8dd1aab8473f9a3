"""Structural confounding: a network that reads what a learned response, with which it is multiplied, is a response to.

In `reco = respiration_ref(...) q10^((tair - 15) / 10)` a network for `respiration_ref` that reads `tair` can take up any part of the
response, and no data tell which: the Q10 benchmark of Reichstein et al. 2022 (10.1002/9781119646181.ch21) and Cohrs et al. 2024
(arXiv 2402.13332). That is seen in the composition of a model, before any fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hybridflux.model.flux import HybridFlux
from hybridflux.model.tree import learned
from hybridflux.process.call import arguments
from hybridflux.vocabulary import is_own, variable

KIN = (
    frozenset({"tair", "tmin", "tmax", "tair_night", "tair_day", "tair_lagged"}),
    frozenset({"vpd", "vpd_day"}),
    frozenset({"swc", "rew", "soil_water"}),
)
"""Names of one quantity, measured or averaged differently: who knows one of them nearly knows the others."""


class Confounded(NamedTuple):
    """A learned parameter that a network can imitate.

    Attributes:
        parameter: of the response.
        network: the parameter that the network supplies, a factor of the same flux.
        driver: what the response is a response to.
        reads: the inputs of the network that are this driver, or related to it (a running mean of it, or another measure of its quantity);
            the driver comes first.
        direct: whether the driver itself is among them; if not, the two can be told apart by what changes from day to day.
    """

    parameter: str
    network: str
    driver: str
    reads: tuple[str, ...]
    direct: bool


def confounded(model: HybridFlux) -> tuple[Confounded, ...]:
    """Learned parameters of responses to a driver that a network in the same product reads.

    Nothing is fitted or computed: the composition tells. Responses to `gpp` are not followed to the drivers of GPP.
    """
    return tuple(row for factors in (model.gpp, model.reco) for row in _of_product(model, factors))


def _of_product(model: HybridFlux, factors) -> Iterator[Confounded]:
    asked = [arguments(factor) for factor in factors]
    networks = {name: model.sources[name].network() for names in asked for name in names if name in model.sources}
    networks = {name: network for name, network in networks.items() if network is not None}
    for names in asked:
        drivers = [name for name in names if getattr(model.rows[name], "kind", None) in ("driver", "state")]
        free = [name for name in names if name in model.sources and learned(model.sources[name])]
        for parameter in free:
            for network, source in networks.items():
                for driver in drivers:
                    reads = tuple(sorted((name for name in source.inputs if related(name, driver)), key=lambda name: name != driver))
                    if reads and network != parameter:
                        yield Confounded(parameter, network, driver, reads, driver in reads)


def related(name: str, driver: str) -> bool:
    """Whether an input is a driver, a running mean of it, or of its kin.

    >>> related("tair_7d", "tair"), related("tmin", "tair"), related("vpd", "tair")
    (True, True, False)
    """
    if is_own(name):
        return False
    base = variable(name).name
    return base == driver or any({base, driver} <= kin for kin in KIN)


def slope_correlation(parameter: np.ndarray, network: np.ndarray, driver: np.ndarray) -> float:
    """Correlation over draws of a parameter with the slope of a network along a driver; near -1 or 1 the one makes up for the other.

    Args:
        parameter: unconstrained `[draw]`.
        network: unconstrained `[draw, time, place]`.
        driver: `[time, place]`.

    Returns:
        The correlation, NaN where one of the two is constant.
    """
    apart = (driver - driver.mean()).ravel()
    slope = network.reshape(len(network), -1) @ apart
    return float(np.corrcoef(parameter, slope)[0, 1]) if np.ptp(slope) > 0 and np.ptp(parameter) > 0 else np.nan


def sentence(row: Confounded, correlation: float) -> str:
    """What to tell a user about one of `confounded`."""
    reads = ", ".join(f"`{name}`" for name in row.reads)
    seen = f" (correlation with its slope over the draws {correlation:.2f})" if np.isfinite(correlation) else ""
    if row.direct:
        cure = f"take `{row.driver}` from the network, or fix `{row.parameter}`"
        return f"`{row.parameter}` cannot be told from the network of `{row.network}`, which reads {reads}{seen}: {cure}"
    return (
        f"`{row.parameter}`, a response to `{row.driver}`, is hard to tell from the network of `{row.network}`, which reads {reads}{seen}: "
        "only what changes from day to day tells them apart; compare restarts"
    )
