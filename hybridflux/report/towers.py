"""What the fit says: towers with predictive bands, and parameters before and after."""

from __future__ import annotations

import numpy as np

from hybridflux.report.figures import class_intervals, prior_posterior, tower_fit
from hybridflux.report.markup import grid, legend, paragraph
from hybridflux.vocabulary import PLANT_TYPES

SITES = 6
DRAWS = 100
PRIOR_DRAWS = 2000
BEST_COVERED = 200  # days with data that make a year worth showing


def tower_section(posterior, sequences) -> str:
    """Measured daily NEE of a few towers, one of each plant type first, with predictive bands.

    Args:
        posterior: fitted `Posterior`.
        sequences: `Sequences` of the towers, with target `nee`.
    """
    import jax

    sites = choose_sites(sequences)
    chosen = sequences.select(sites)
    thinned = posterior.thin(min(DRAWS, posterior.draws))
    draws = np.asarray(thinned.predict(chosen, key=jax.random.key(0), noise=True, variables=("nee",))["nee"])
    figures = []
    for number, site in enumerate(sites):
        year = best_year(chosen.days, chosen.targets["nee"][:, number])
        days = np.flatnonzero(chosen.days.astype("datetime64[Y]") == year)
        cover = PLANT_TYPES[int(chosen.drivers["plant_type"][number])]
        figures.append(tower_fit(site, cover, chosen.days[days], chosen.targets["nee"][days, number], draws[:, days, number]))
    seen = sum(site in posterior.places for site in sites)
    known = "all in the fit" if seen == len(sites) else "none in the fit" if not seen else f"{seen} of {len(sites)} in the fit"
    note = (
        f"Best covered year of {len(sites)} of {len(sequences.places)} towers ({known}). Bands are predictive: parameters, site effects and "
        "measurement noise. A calibrated 90 % band holds about 90 % of the days. NEE negative = uptake."
    )
    marks = legend(("measured day", "--ink", "dot"), ("predicted median", "--nee", ""), ("50 % and 90 % of predictive draws", "--nee", "band"))
    return paragraph(note, "note") + marks + grid(figures)


def choose_sites(sequences) -> tuple[str, ...]:
    """Up to `SITES` towers: the best measured of each plant type, then the next best."""
    measured = np.isfinite(sequences.targets["nee"]).sum(0)
    order = np.argsort(-measured, kind="stable")
    types = np.asarray(sequences.drivers["plant_type"]).astype(int)
    first = [i for n, i in enumerate(order) if types[i] not in types[order[:n]]]
    chosen = (first + [i for i in order if i not in first])[:SITES]
    return tuple(sequences.places[i] for i in sorted(chosen, key=lambda i: (types[i], sequences.places[i])) if measured[i])


def best_year(days: np.ndarray, observed: np.ndarray) -> np.datetime64:
    """The last year with many measured days, else the best one."""
    years, inverse = np.unique(days.astype("datetime64[Y]"), return_inverse=True)
    count = np.bincount(inverse, np.isfinite(observed))
    good = np.flatnonzero(count >= min(BEST_COVERED, count.max()))
    return years[good[-1]]


def parameter_section(posterior, truth: dict | None = None) -> str:
    """Prior and posterior of the physical parameters.

    Args:
        posterior: fitted `Posterior`.
        truth: parameter -> known value, or plant type code -> known value.
    """
    before, after = posterior.prior_draws(PRIOR_DRAWS), posterior.parameter_draws()
    classes = fitted_classes(posterior)
    single, by_class = [], []
    for name, draws in after.items():
        known = (truth or {}).get(name)
        if draws.ndim == 1:
            value = known if isinstance(known, int | float | np.number) else None
            single.append(prior_posterior(name, before[name], draws, value))
        elif draws.ndim == 2 and draws.shape[1] == len(PLANT_TYPES):
            per_class = {PLANT_TYPES.index(code): value for code, value in known.items()} if isinstance(known, dict) else None
            by_class.append(class_intervals(name, classes, before[name], draws, per_class))
    note = (
        "Contraction is the share of the prior variance the towers removed: near 0 %, the data say nothing about a parameter and its "
        "value is the prior's. Daily parameters that a network gives are not shown."
    )
    entries = [("prior", "--muted", "band"), ("posterior", "--accent", "band")]
    if truth:
        entries.append(("known truth", "--truth", "dash"))
    return paragraph(note, "note") + legend(*entries) + grid(single + by_class, "small")


def fitted_classes(posterior) -> list[int]:
    """Plant types the fit has seen, or all vegetated ones where it does not tell."""
    seen = posterior.info.get("plant_types")
    return [PLANT_TYPES.index(code) for code in seen] if seen else [i for i, code in enumerate(PLANT_TYPES) if code not in ("URB", "WAT")]
