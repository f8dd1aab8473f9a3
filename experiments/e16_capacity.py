"""E16, third part - Does a capacity of each place help the balance of the water, from `whc` of the covariates or learned there?

The form that was taken (`water_forms.CHOSEN`), and the same with both of its capacities, root zone and deep store,

(a) proportional to a power of `whc`, the root-zone capacity [mm] that cumulative water deficits give (`site_covariates.csv.gz`): factor and
    power are learned (`hf.PowerOf`; the power is 1 +- 0.5 a priori), a place without `whc` gets the centre;
(b) with a log-normal factor of each place around the centre, of sd 0.4, or twice that;
(c) with such a factor around (a);
(d) with capacities as they were, and such a factor of sd 0.2 of the coefficient of evaporation: what a level of each place alone gives.

All are fitted to latent heat and soil water as in E16: without a group of towers in turn (where the factor of a place is then 1), and
without every second year in turn. Differences of errors have 90 % intervals over resampled towers.

    python experiments/e16_capacity.py --data ../shared/data/towers --out runs/e16

A form takes two minutes of a core; what is done is kept. `--smoke` takes one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from drought_differences import bootstrap
from e16_water import FULL, NEEDS, SEED, SMOKE, SMOKE_SITES, Water, departures, fitter, measured, model_of, predicted, scores
from scipy.stats import spearmanr
from water_forms import CHOSEN, FORMS

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.splits import leave_site_out
from hybridflux.model import observe
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import with_learned
from hybridflux.model.power_of import POWER_SD, PowerOf
from hybridflux.model.sources import AbstractFree, AbstractSource, Shared

CAPACITIES = ("root_zone_capacity", "deep_capacity")
CENTRE = 240.0  # mm, median of `whc` of the towers with NIRv
SPREAD = 0.4  # of the logarithm of a capacity between places, a priori: about that of `whc`
INSIDE = 1e-3  # of the bounds of a capacity, from which it keeps away
STEPS = {"first": 60, "again": 40}


class OfPlaces(AbstractFree):
    """Another source times a log-normal factor of each place, of a given spread: a spread that is learned has no useful joint mode."""

    source: AbstractFree
    z: jax.Array
    spread: float = eqx.field(static=True)

    def __init__(self, source: AbstractFree, places: int, spread: float):
        """All places start at the source."""
        self.source, self.z, self.spread = source, jnp.zeros(places, jnp.float32), spread

    def reads(self):
        return (*self.source.reads(), "site")

    def raw(self, row, names):
        return inside(self.source.value(row, names) * jnp.exp(self.spread * self.z[names["site"]]), row)


def inside(value, row):
    """The unconstrained number behind a value, which is kept away from its bounds."""
    share = jnp.clip((value - row.lower) / (row.upper - row.lower), INSIDE, 1.0 - INSIDE)
    return jnp.log(share) - jnp.log1p(-share)


BY_DEFICITS = PowerOf("whc", centre=CENTRE)
Kind = Callable[[int], Mapping[str, AbstractSource]]
KINDS: Mapping[str, Kind] = {
    CHOSEN: lambda places: {},
    "(a) capacities by `whc`": lambda places: dict.fromkeys(CAPACITIES, BY_DEFICITS),
    "(b) capacities of places": lambda places: {name: OfPlaces(Shared(), places, SPREAD) for name in CAPACITIES},
    "(b) twice as wide": lambda places: {name: OfPlaces(Shared(), places, 2 * SPREAD) for name in CAPACITIES},
    "(c) capacities of places around `whc`": lambda places: {name: OfPlaces(BY_DEFICITS, places, SPREAD) for name in CAPACITIES},
    "(d) evaporation of places": lambda places: {"evaporation_scalar": OfPlaces(Shared(), places, SPREAD / 2)},
}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder with `reflectance`, `monthly` and `site_covariates.csv.gz`")
    parser.add_argument("--out", type=Path, default=Path("runs/e16"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    size, sites = (SMOKE, SMOKE_SITES) if arguments.smoke else (FULL, None)
    steps = {name: 4 for name in STEPS} if arguments.smoke else STEPS
    arguments.out.mkdir(parents=True, exist_ok=True)
    needs = {"needs": NEEDS, "targets": (observe.latent_heat().variable,)}
    water = measured(arguments.data, open_towers(arguments.data, sites=sites, years=size["years"], screen=None, **needs))
    drivers = {name: jnp.asarray(values) for name, values in {**water.sequences.drivers, **of_places(arguments.data, water)}.items()}
    found = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        file = arguments.out / f"capacity{number}.npz"
        if not file.exists():
            model = composed(kind(len(water.sequences.places)))
            np.savez_compressed(file, **held_out(model, drivers, water, size["folds"], steps))
        with np.load(file) as stored:
            found[name] = dict(stored)
        print(f"{name}: done", flush=True)
    text = "\n".join(section(water, drivers, found, size["resamples"])) + "\n"
    (arguments.out / "capacity.md").write_text(text)
    print(text)


def of_places(data: Path, water: Water) -> dict[str, np.ndarray]:
    """Index and `whc` [mm] of the towers, its centre where there is none."""
    table = pd.read_csv(data / "site_covariates.csv.gz").set_index("site_id").whc
    whc = table.reindex(water.sequences.places).fillna(CENTRE).to_numpy(np.float32)
    return {"site": np.arange(len(whc), dtype=np.int32), "whc": whc}


def composed(sources: Mapping[str, AbstractSource]) -> HybridFlux:
    """The form that was taken with other sources of some parameters."""
    model = model_of(FORMS[CHOSEN])
    return HybridFlux(gpp=model.gpp, reco=model.reco, memory=model.memory, sources={**model.sources, **sources})


def folds(water: Water, count: int) -> dict[str, list[np.ndarray]]:
    """What is left out in turn `[month, place]`."""
    places, shape = water.sequences.places, water.heat.shape
    years = (water.sequences.days[0].astype("datetime64[M]").astype(int) + np.arange(shape[0])) // 12
    towers = [np.isin(places, test)[None, :] for _, test in leave_site_out(places, count, SEED)]
    return {"towers": [np.broadcast_to(one, shape) for one in towers],
            "years": [np.broadcast_to((years % 2 == odd)[:, None], shape) for odd in (0, 1)]}  # fmt: skip


def held_out(model: HybridFlux, drivers: Mapping, water: Water, count: int, steps: dict) -> dict[str, np.ndarray]:
    """Predictions of what fits have not seen: `left out;quantity`; capacities, powers and spreads of the fit to all."""
    show = jax.jit(lambda leaves: predicted(with_learned(model, leaves), drivers))
    fit = fitter(model, drivers, water)
    everything = fit(np.ones(water.heat.shape, bool), steps["first"], None)
    start = {name: np.zeros_like(leaf) if leaf.shape else leaf for name, leaf in everything.items()}  # effects of places begin anew
    out = {name: leaf for name, leaf in everything.items() if name.startswith(tuple(f"sources.{one}." for one in CAPACITIES))}
    values = with_learned(model, everything).parameters(drivers)
    out |= {f"value {name}": np.broadcast_to(values[name], water.heat.shape[1]) for name in CAPACITIES}
    for kind, parts in folds(water, count).items():
        for held in parts:
            daily, relative = show(fit(~held, steps["again"], start))
            by_day = held[water.month]
            for key, found, here in (("heat", water.means(daily), held), ("rew", water.means(relative), held), ("daily", daily, by_day)):
                out.setdefault(f"{kind};{key}", np.zeros(np.shape(found), np.float32))[here] = np.asarray(found)[here]
    return out


def errors(water: Water, found: dict, kind: str) -> dict[str, pd.DataFrame]:
    """Of months, days and departures of warm months: `site`, `n`, `rmse`."""
    there = np.isfinite(water.heat)
    model, seen = (departures(values, water.months, there) for values in (found[f"{kind};heat"], water.heat))
    apart = {"months": np.where(there, found[f"{kind};heat"] - water.heat, np.nan), "days": found[f"{kind};daily"] - water.daily}
    parts = {name: [one[np.isfinite(one)] for one in values.T] for name, values in apart.items()}
    parts["departures"] = [one - other for one, other in zip(model, seen, strict=True)]
    return {name: pd.DataFrame([{"site": site, "n": len(one), "rmse": np.sqrt(np.mean(one**2)) if len(one) else 0.0}
                                for site, one in zip(water.sequences.places, values, strict=True)])
            for name, values in parts.items()}  # fmt: skip


def section(water: Water, drivers: Mapping, found: dict, resamples: int) -> list[str]:
    """The results as a part of the page of E16."""
    known = int((np.asarray(drivers["whc"]) != CENTRE).sum())
    lines = ["## A capacity for each place", "",
             f"Made by `experiments/e16_capacity.py`; the forms are in its head. `whc` is known at {known} of {len(water.closure)} towers.",
             "Last three columns: RMSE minus that of the first row, 90 % interval over towers."]  # fmt: skip
    for kind in ("towers", "years"):
        first = errors(water, found[CHOSEN], kind)
        lines += ["", f"| {kind} left out | LE, months: RMSE | median tower | nNSE | LE, days: RMSE | departures: RMSE | r "
                  "| soil water: RMSE | r | r of departures | months | days | departures |", "|" + "---|" * 13]  # fmt: skip
        for name, one in found.items():
            part = {key: one[f"{kind};{key}"] for key in ("heat", "rew", "daily")}
            row, own = scores(water, part, np.ones(len(water.closure), bool)), errors(water, one, kind)
            differences = ["-" if name == CHOSEN else "{:+.2f} ({:+.2f}, {:+.2f})".format(*bootstrap(own[key], first[key], resamples))
                           for key in ("months", "days", "departures")]  # fmt: skip
            lines.append(
                f"| {name} | {row['monthly']:.1f} | {row['median']:.1f} | {row['nnse']:.3f} | {row['daily']:.1f} | {row['departures']:.1f} "
                f"| {row['departures_r']:.2f} | {row['soil_rmse']:.3f} | {row['soil_r']:.2f} | {row['soil_departures_r']:.2f} "
                f"| {' | '.join(differences)} |"
            )
    return [*lines, "", "LE in W m-2, soil water in m3 m-3 after the line of the sensor.",
            "Capacities of fits to all towers and years, mm:", "", *capacities(found, np.asarray(drivers["whc"]))]  # fmt: skip


def capacities(found: dict, whc: np.ndarray) -> list[str]:
    """Capacities of places and powers of `whc` of the fits to all."""
    known = whc != CENTRE
    lines = ["| form | parameter | median of towers (5 to 95 %) | power | rank correlation with `whc` |", "|" + "---|" * 5]
    for name, one in found.items():
        for key in CAPACITIES:
            values = one[f"value {key}"]
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
            of_power = [leaf for path, leaf in one.items() if path.startswith(f"sources.{key}.") and path.endswith(".power")]
            rank = spearmanr(values[known], whc[known]).statistic if np.ptp(values) else None
            power = 1.0 + POWER_SD * of_power[0] if of_power else None
            cells = ["-" if value is None else f"{float(value):.2f}" for value in (power, rank)]
            lines.append(f"| {name} | `{key}` | {middle:.0f} ({low:.0f} to {high:.0f}) | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
