"""Results of a fit: towers with predictive bands, and prior and posterior of the parameters."""

from __future__ import annotations

import numpy as np

from hybridflux.report.figures import class_intervals, contraction, prior_posterior, tower_fit
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
    draws = np.asarray(thinned.simulate(chosen, key=jax.random.key(0), noise=True, variables=("nee",))["nee"])
    figures = []
    for number, site in enumerate(sites):
        year = best_year(chosen.days, chosen.targets["nee"][:, number])
        days = np.flatnonzero(chosen.days.astype("datetime64[Y]") == year)
        cover = PLANT_TYPES[int(chosen.drivers["plant_type"][number])]
        figures.append(tower_fit(site, cover, chosen.days[days], chosen.targets["nee"][days, number], draws[:, days, number]))
    seen = sum(site in posterior.places for site in sites)
    structure, of = (", the structural error learned at towers left out", " of towers never seen, and more of those in the fit")
    if posterior.structure is None:
        structure, of = "", ""
    known = {len(sites): "all in the fit", 0: "none in the fit"}.get(seen, f"{seen} of them in the fit")
    note = (
        f"Best covered year of {len(sites)} of {len(sequences.places)} towers ({known}). Bands are predictive: parameters, site "
        f"effects{structure} and measurement noise. A calibrated 90 % band holds about 90 % of the days{of}; the share "
        "inside is given in each title. Negative NEE = uptake."
    )
    marks = legend(("measured day", "--ink", "dot"), ("predicted median", "--nee", ""), ("50 % and 90 % of draws", "--nee", "band"))
    return paragraph(note, "note") + marks + grid(figures, "large")


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


def parameter_section(posterior, sequences, truth: dict) -> str:
    """Prior and posterior of the physical parameters.

    Args:
        posterior: fitted `Posterior`.
        sequences: `Sequences` of the towers, whose plant types are shown; None for all that moved from the prior.
        truth: parameter -> known value, or plant type code -> known value.
    """
    before, after = posterior.prior_draws(PRIOR_DRAWS), posterior.parameter_draws()
    single, by_class = [], []
    for name, draws in after.items():
        known = truth.get(name)
        if draws.ndim == 1:
            single.append(prior_posterior(name, posterior.model.row_of(name), before[name], draws, known))
        else:
            classes = shown_classes(before[name], draws, sequences)
            per_class = {PLANT_TYPES.index(code): value for code, value in (known or {}).items()}
            by_class.append(class_intervals(name, posterior.model.row_of(name), classes, before[name], draws, per_class))
    note = (
        "Contraction = 1 − posterior variance / prior variance: near 0 %, the data do not constrain a parameter and its value is that "
        "of the prior. Daily parameters that a network supplies are not shown."
    )
    entries = [("prior", "--muted", "band"), ("posterior", "--accent", "band")]
    if truth:
        entries.append(("known truth", "--truth", "dash"))
    return paragraph(note, "note") + legend(*entries) + grid(single + by_class, "small")


def shown_classes(before: np.ndarray, after: np.ndarray, sequences) -> list[int]:
    """Plant types of the towers, or those whose value the fit has narrowed by half; draws `[draw, plant_type]`."""
    if sequences is not None:
        return sorted({int(index) for index in sequences.drivers["plant_type"]})
    moved = [index for index in range(len(PLANT_TYPES)) if contraction(before[:, index], after[:, index]) > 0.5]
    return moved or list(range(len(PLANT_TYPES)))
