"""Structural confounding: a network reads the driver of a learned response with which it is multiplied.

In `reco = respiration_ref(...) q10^((tair - 15) / 10)` a network for `respiration_ref` that reads `tair` can take up any part of the
response, and no data identify which: the Q10 benchmark of Reichstein et al. 2022 (10.1002/9781119646181.ch21) and Cohrs et al. 2024
(arXiv 2402.13332). The composition of a model shows it, before any fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned
from hybridflux.process.call import arguments
from hybridflux.vocabulary import is_own, variable

KIN = (
    frozenset({"tair", "tmin", "tmax", "tair_night", "tair_day", "tair_lagged"}),
    frozenset({"vpd", "vpd_day"}),
    frozenset({"swc", "rew", "soil_water"}),
)
"""Names of one quantity, measured or averaged differently: one of them nearly determines the others."""


class Confounded(NamedTuple):
    """A learned parameter that a network can imitate.

    Attributes:
        parameter: parameter of the response.
        network: the parameter that the network supplies, a factor of the same flux.
        driver: driver of the response.
        reads: the inputs of the network that are this driver, or related to it (a running mean of it, or another measure of its quantity);
            the driver comes first.
        direct: whether the driver itself is among them; if not, changes from day to day separate the two.
    """

    parameter: str
    network: str
    driver: str
    reads: tuple[str, ...]
    direct: bool


def confounded(model: HybridFlux) -> tuple[Confounded, ...]:
    """Learned parameters of responses to a driver that a network in the same product reads.

    Nothing is fitted or computed: the composition decides. A network that reads all drivers of the first factor of GPP (its light and its
    leaves) can imitate a response of Reco to `gpp`.
    """
    return tuple(row for factors in (model.gpp, model.reco) for row in _of_product(model, factors))


def _of_product(model: HybridFlux, factors) -> Iterator[Confounded]:
    asked = [arguments(factor) for factor in factors]
    networks = {name: model.sources[name].network() for names in asked for name in names if name in model.sources}
    networks = {name: network for name, network in networks.items() if network is not None}
    light = {name for name in arguments(model.gpp[0]) if getattr(model.rows[name], "kind", None) == "driver"} if model.gpp else set()
    for names in asked:
        drivers = [name for name in names if getattr(model.rows[name], "kind", None) in ("driver", "state")]
        free = [name for name in names if name in model.sources and learned(model.sources[name])]
        for parameter in free:
            for network, source in networks.items():
                for driver in drivers:
                    reads = tuple(sorted((name for name in source.inputs if related(name, driver)), key=lambda name: name != driver))
                    if reads and network != parameter:
                        yield Confounded(parameter, network, driver, reads, driver in reads)
                if "gpp" in names and network != parameter and light and light <= set(source.inputs):
                    yield Confounded(parameter, network, "gpp", tuple(sorted(light)), True)


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
    """Correlation over draws of a parameter with the slope of a network along a driver; near -1 or 1 they compensate each other.

    Args:
        parameter: unconstrained `[draw]`.
        network: unconstrained `[draw, time, place]`.
        driver: `[time, place]`.

    Returns:
        The correlation, NaN if one of the two is constant.
    """
    apart = (driver - driver.mean()).ravel()
    slope = network.reshape(len(network), -1) @ apart
    return float(np.corrcoef(parameter, slope)[0, 1]) if np.ptp(slope) > 0 and np.ptp(parameter) > 0 else np.nan


def sentence(row: Confounded, correlation: float) -> str:
    """The warning about one of `confounded`."""
    reads = ", ".join(f"`{name}`" for name in row.reads)
    seen = f" (correlation with its slope over the draws {correlation:.2f})" if np.isfinite(correlation) else ""
    if row.direct:
        cure = f"take {reads if row.driver == 'gpp' else f'`{row.driver}`'} from the network, or fix `{row.parameter}`"
        return f"`{row.parameter}` is not identifiable beside the network of `{row.network}`, which reads {reads}{seen}: {cure}"
    return (
        f"`{row.parameter}`, a response to `{row.driver}`, is weakly identifiable beside the network of `{row.network}`, which reads "
        f"{reads}{seen}: only changes from day to day separate them; compare restarts"
    )
