"""E16 - Is the water of the bucket right, and does its stress then earn its place in droughts?

1. Forms of the water balance (`water_forms.py`) are fitted to water alone: monthly latent heat and soil water of all towers with NIRv,
three groups of towers left out in turn (seen once each: the forms were chosen on fits to all towers, before this table). Latent heat is
closed to the energy balance: `LE_CORR` where a tower has it, else divided by (LE + H) / NETRAD of all its months, within 0.65 to 1, else by
the median of that. Soil water is compared after a line of slope >= 0 at each sensor. Left-out towers: RMSE of monthly and daily latent
heat, summers, departures of months from usual, soil water.
2. With the water of the chosen form fixed, `hybrid_nirv` with responses of light use and respiration to it, and without, is fitted without
the days of drought of E04 and scored on them. Paired differences of the RMSE of drought anomalies over resampled sites.

    python experiments/e16_water.py --data ../shared/data/towers --out runs/e16
    python experiments/e16_water.py --data ../shared/data/towers --out runs/e16_smoke --smoke

Each form of part 1 takes two to six minutes of one busy core, each model of part 2 four to eight; what is done is kept. `--smoke` takes
two minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from e04_drought_years import fitted
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize
from water_forms import CHOSEN, FORMS, Form
from water_page import NONE, PER_DAY, SUMMER, page

from hybridflux.data.towers import CLIMATOLOGY, open_towers
from hybridflux.evaluate.dryness import NEEDS as DRYNESS_NEEDS
from hybridflux.evaluate.scores import evaluate
from hybridflux.evaluate.splits import leave_drought_out, leave_site_out, only_days
from hybridflux.inference import Ensemble
from hybridflux.model import observe
from hybridflux.model.compositions import get
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.measured_water import MEASURED_WATER
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Pooled, Shared
from hybridflux.process import deep_water, light, observation, respiration, stress
from hybridflux.process.call import arguments
from hybridflux.provenance import provenance
from hybridflux.vocabulary import PLANT_TYPES

NEEDS = ("nirv", "lswi", "tair", "tmin", "tmax", "par", "par_potential", "vpd", "rain", "co2", "plant_type")
SEED = 16
QC, KNOWN, LEAST_SOIL, LEAST_YEARS = 0.7, 0.8, 18, 5
CLOSURE = (0.65, 1.0)
FLOOR, SLOPE = 7.0, 0.12  # W m-2, 1: scale of the error of a month of latent heat
WEIGHTS = {"latent heat": 0.3, "soil water": 0.2}  # of a month: its neighbours err with it
WARM = (6, 7, 8, 9)
FULL = {"years": (2000, 2018), "steps": 50, "again": 12, "folds": 3, "members": 2, "updates": 500, "draws": 20, "resamples": 2000}
SMOKE = {"years": (2003, 2008), "steps": 6, "again": 3, "folds": 2, "members": 2, "updates": 40, "draws": 10, "resamples": 200}
SMOKE_SITES = ("FR-Pue", "DE-Tha", "DE-Geb", "CH-Cha", "IT-BCi", "IT-Tor")
SMOKE_FORMS = ("bucket of `hybrid_nirv`, nothing learned", "Makkink, leaves", CHOSEN)
BOTH = "stress on both"


@dataclass(frozen=True)
class Water:
    """Towers with what was measured of their water.

    Attributes:
        sequences: drivers of all days.
        month: of each day, counted from the first `[day]`.
        heat: closed latent heat [W m-2] `[month, place]`, NaN where it was not measured.
        soil: soil water of the first sensor [m3 m-3] `[month, place]`.
        daily: closed latent heat of days [W m-2] `[day, place]`.
        closure: share of the energy that the turbulent fluxes of a tower show [1] `[place]`.
        rain: measured by towers [mm d-1] `[month, place]`.
    """

    sequences: Sequences
    month: np.ndarray
    heat: np.ndarray
    soil: np.ndarray
    daily: np.ndarray
    closure: np.ndarray
    rain: np.ndarray

    @property
    def months(self) -> np.ndarray:
        """The calendar month of each row, 1 to 12."""
        first = self.sequences.days[0].astype("datetime64[M]").astype(int)
        return (first + np.arange(len(self.heat))) % 12 + 1

    def means(self, values):
        """Means of months `[month, place]` of days `[day, place]`."""
        count = jnp.asarray(np.bincount(self.month), jnp.float32)[:, None]
        return jax.ops.segment_sum(values, jnp.asarray(self.month), len(self.heat)) / count


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder with `reflectance` and `monthly`")
    parser.add_argument("--out", type=Path, default=Path("runs/e16"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, *((SMOKE, SMOKE_SITES, SMOKE_FORMS) if arguments.smoke else (FULL, None, tuple(FORMS))))


def run(data: Path, out: Path, size: dict, sites: tuple[str, ...] | None, names: tuple[str, ...]) -> None:
    """All fits of water, then of carbon, and the page."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    towers = open_towers(data, sites=sites, years=size["years"], needs=NEEDS, targets=(observe.latent_heat().variable,), screen=None)
    water = measured(data, towers)
    rows, found = [], {}
    for name in names:
        found[name] = kept(out, name, FORMS[name], water, size)
        rows.append({"form": name, "learned": found[name]["learned"], **scores(water, found[name], np.ones(len(water.closure), bool))})
        print(f"{name}: {time.perf_counter() - began:.0f} s  {rows[-1]}", flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(out / "water.csv", index=False)
    drought, thresholds = of_droughts(data, out, size, sites)
    text = page(water, table, found, drought, thresholds, size)
    (out / "results.md").write_text(text)
    origin = provenance({"size": size, "sites": water.sequences.places}, SEED)
    (out / "run.json").write_text(json.dumps({**origin, "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def measured(data: Path, towers) -> Water:
    """Monthly and daily water of the towers."""
    sequences = towers.sequences(NEEDS)
    days, places = sequences.days, sequences.places
    month = (days.astype("datetime64[M]") - days[0].astype("datetime64[M]")).astype(int)
    flags = [f"{name}_flag" for name in ("tair", "par", "rain", "vpd", "nirv") if f"{name}_flag" in towers.daily]
    known = np.all([towers.daily[flag].to_numpy() != CLIMATOLOGY for flag in flags], axis=0)
    share = np.stack([np.bincount(month, known[:, at]) for at in range(len(places))], 1) / np.bincount(month)[:, None]
    shape = (month[-1] + 1, len(places))
    heat, soil, rain = (np.full(shape, np.nan) for _ in range(3))
    daily, closure = np.where(known, sequences.targets["latent_heat"], np.nan), np.full(len(places), np.nan)
    for at, place in enumerate(places):
        table = monthly(data, place)
        row = (table.TIMESTAMP // 100 - 1970) * 12 + table.TIMESTAMP % 100 - 1 - int(days[0].astype("datetime64[M]").astype(int))
        table = table.assign(row=row)[(row >= 0) & (row < shape[0])].set_index("row")
        heat[table.index, at], rain[table.index, at] = table.LE_F_MDS, table.P_F
        soil[table.index, at] = table.SWC_F_MDS_1 / 100
        whole = table[(table.NETRAD > 30) & table.H_F_MDS.notna()]
        if len(whole) >= 6:
            closure[at] = (whole.LE_F_MDS + whole.H_F_MDS).sum() / whole.NETRAD.sum()
        closure[at] = corrected(data, place, closure[at])
    closure = np.clip(np.where(np.isfinite(closure), closure, np.nanmedian(closure)), *CLOSURE)
    for values in (heat, soil):
        values[share < KNOWN] = np.nan
    return Water(sequences, month, heat / closure, soil, daily / closure, closure, rain)


def monthly(data: Path, place: str) -> pd.DataFrame:
    """Months of one tower whose latent heat was measured: Warm Winter 2020 first, then FLUXNET2015."""
    wanted = ("TIMESTAMP", "LE_F_MDS", "LE_F_MDS_QC", "H_F_MDS", "NETRAD", "P_F", "SWC_F_MDS_1")
    parts = [pd.read_csv(file) for file in sorted((data / "monthly").glob(f"FLX_{place}_*"))]
    older = pd.read_csv(data / "monthly" / "FLUXNET2015_SUBSET_MM_all_sites.csv.gz")
    table = pd.concat([part.reindex(columns=wanted) for part in (*parts, older[older.site == place])], ignore_index=True)
    table = table.replace(-9999, np.nan).dropna(subset=["LE_F_MDS"]).drop_duplicates("TIMESTAMP")
    return table[table.LE_F_MDS_QC.fillna(1.0) >= QC]


def corrected(data: Path, place: str, otherwise: float) -> float:
    """Measured latent heat over that of `LE_CORR` of the daily file, where it has both on 300 days."""
    for file in sorted((data / "fluxnet_dd").glob(f"FLX_{place}_*")):
        table = pd.read_csv(file, usecols=lambda name: name in ("LE_F_MDS", "LE_CORR")).replace(-9999, np.nan)
        if set(table) == {"LE_F_MDS", "LE_CORR"} and len(both := table.dropna()) > 300:
            return float(both.LE_F_MDS.sum() / both.LE_CORR.sum())
    return otherwise


def model_of(form: Form) -> HybridFlux:
    """A model whose carbon is of no account here."""
    return HybridFlux(gpp=(light.absorbed_green,), reco=(respiration.basal,), memory=(form.memory,), sources=form.sources())


def predicted(model: HybridFlux, drivers: Mapping) -> tuple[jax.Array, jax.Array]:
    """Latent heat [W m-2] and relative water of the root zone [1] of all days `[day, place]`."""
    seen = model.fluxes(drivers, also=("evapotranspiration", "rew_root_zone"))
    return observation.latent_heat(evapotranspiration=seen["evapotranspiration"]), seen["rew_root_zone"]


def agreement(relative, soil, train):
    """Log likelihood of some months of soil water `[place]`, of the best line of each sensor for the relative water of a model."""
    there = np.isfinite(soil) & train
    count = there.sum(0)
    of = lambda values: jnp.where(there, values - jnp.where(there, values, 0.0).sum(0) / jnp.maximum(count, 1), 0.0)  # noqa: E731
    model, sensor = of(relative), of(np.nan_to_num(soil))
    r = (model * sensor).sum(0) / jnp.sqrt((model**2).sum(0) * (sensor**2).sum(0) + 1e-9)
    return jnp.where(count >= LEAST_SOIL, -0.5 * count * jnp.log(1.0 - 0.98 * jnp.maximum(r, 0.0) ** 2), 0.0)


def fitter(model: HybridFlux, drivers: Mapping, water: Water) -> Callable[[np.ndarray, int, dict | None], dict[str, np.ndarray]]:
    """The function that gives the learned leaves of highest posterior density: (from which `[place]` or `[month, place]`, steps, start)."""
    there, heat = np.isfinite(water.heat), np.nan_to_num(water.heat)
    scale = FLOOR + SLOPE * np.abs(heat)
    prior, unravel = ravel_pytree(learned(model))

    @jax.jit
    @jax.value_and_grad
    def slope(vector, train):
        daily, relative = predicted(with_learned(model, unravel(vector)), drivers)
        misfit = jnp.sum(jnp.where(there & train, jnp.abs(water.means(daily) - heat) / scale, 0.0))
        of_soil = jnp.sum(agreement(water.means(relative), water.soil, train))
        return WEIGHTS["latent heat"] * misfit - WEIGHTS["soil water"] * of_soil + 0.5 * jnp.sum(vector**2)

    def fit(train: np.ndarray, steps: int, start: dict | None = None) -> dict[str, np.ndarray]:
        def in_double(vector):
            value, gradient = slope(jnp.asarray(vector, jnp.float32), jnp.asarray(train))
            return float(value), np.asarray(gradient, np.float64)

        first = np.zeros(len(prior)) if start is None else ravel_pytree(start)[0]
        found = minimize(in_double, first, jac=True, method="L-BFGS-B", options={"maxiter": steps})
        return {name: np.asarray(leaf) for name, leaf in unravel(jnp.asarray(found.x, jnp.float32)).items()}

    return fit


def kept(out: Path, name: str, form: Form, water: Water, size: dict) -> dict:
    """Predictions at left-out towers, and parameters of all fits; of a run before where there is one."""
    slug = "".join(letter if letter.isalnum() else "_" for letter in name)
    file = out / f"{slug}.npz"
    if not file.exists():
        np.savez_compressed(file, **left_out(form, water, size))
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def left_out(form: Form, water: Water, size: dict) -> dict[str, np.ndarray]:
    """Latent heat of months and days and relative water of months at towers that a fit has not seen; parameters `[fit, plant type]`."""
    model, places = model_of(form), water.sequences.places
    drivers = {name: jnp.asarray(values) for name, values in water.sequences.drivers.items()}
    show = jax.jit(lambda leaves: predicted(with_learned(model, leaves), drivers))
    fit, count = fitter(model, drivers, water), sum(leaf.size for name, leaf in learned(model).items() if name.startswith("sources."))
    leaves = fit(np.ones(len(places), bool), size["steps"], None) if count else learned(model)
    of_type = {"plant_type": np.arange(len(PLANT_TYPES))}
    every, out = [leaves], {}
    for _, test in leave_site_out(places, size["folds"], SEED):
        held = np.isin(places, test)
        every.append(fit(~held, size["again"], leaves) if count else leaves)
        daily, relative = show(every[-1])
        for key, values in (("heat", water.means(daily)), ("rew", water.means(relative)), ("daily", daily)):
            out.setdefault(key, np.zeros(np.shape(values), np.float32))[:, held] = np.asarray(values)[:, held]
    for name in form.sources():
        values = [with_learned(model, one).parameters(of_type)[name] for one in every]
        out[f"parameter {name}"] = np.stack([np.broadcast_to(value, len(PLANT_TYPES)) for value in values])
    return {**out, "learned": np.asarray(count)}


def departures(values: np.ndarray, months: np.ndarray, there: np.ndarray) -> list[np.ndarray]:
    """Of each place, the months of `WARM` minus their mean over the years, where there are enough years."""
    parts = []
    for at in range(values.shape[1]):
        of = [values[rows, at] - values[rows, at].mean() for month in WARM
              if len(rows := np.flatnonzero((months == month) & there[:, at])) >= LEAST_YEARS]  # fmt: skip
        parts.append(np.concatenate(of) if of else np.zeros(0))
    return parts


def scores(water: Water, found: dict, chosen: np.ndarray) -> dict[str, float]:
    """Of left-out towers: errors of latent heat [W m-2, summers mm d-1] and of soil water."""
    months, there = water.months, np.isfinite(water.heat)
    error = np.where(there, found["heat"] - water.heat, np.nan)
    summer = np.nanmean(np.where(np.isin(months, SUMMER)[:, None], error, np.nan)[:, there[np.isin(months, SUMMER)].any(0)], 0) / PER_DAY
    usual = np.where(there, water.heat, np.nan)
    enough = there.sum(0) >= 24
    nse = (1.0 - np.nansum(error**2, 0) / np.nansum((usual - np.nanmean(usual, 0)) ** 2, 0))[enough]
    observed, model = (np.concatenate(departures(values, months, there)) for values in (water.heat, found["heat"]))
    daily = np.isfinite(water.daily)
    of_days = [np.sqrt(np.mean((found["daily"][daily[:, at], at] - water.daily[daily[:, at], at]) ** 2))
               for at in np.flatnonzero(daily.sum(0) > 200)]  # fmt: skip
    sensors = [sensor(water.soil[:, at], found["rew"][:, at], months) for at in range(water.soil.shape[1])]
    soil = np.array([one for one in sensors if one is not None])
    return {
        "monthly": float(np.sqrt(np.nanmean(error**2))), "median": float(np.nanmedian(np.sqrt(np.nanmean(error[:, there.any(0)] ** 2, 0)))),
        "nnse": float(np.mean(1.0 / (2.0 - nse))), "summer": float(summer.mean()), "summer_sd": float(summer.std()),
        "departures": float(np.sqrt(np.mean((observed - model) ** 2))), "none": float(observed.std()),
        "departures_r": float(np.corrcoef(observed, model)[0, 1]) if model.std() > 0 else np.nan, "daily": float(np.median(of_days)),
        "soil_rmse": float(np.median(soil[:, 0])), "soil_r": float(np.median(soil[:, 1])),
        "soil_departures_r": float(np.nanmedian(soil[:, 2])), "sensors": len(soil),
    }  # fmt: skip


def sensor(soil: np.ndarray, relative: np.ndarray, months: np.ndarray) -> tuple[float, float, float] | None:
    """RMSE [m3 m-3] after the line of the sensor, correlation, and correlation of the departures of warm months."""
    there = np.isfinite(soil)
    if there.sum() < 24 or relative[there].std() == 0:
        return None
    r = float(np.corrcoef(relative[there], soil[there])[0, 1])
    rmse = float(soil[there].std() * np.sqrt(1.0 - max(r, 0.0) ** 2))
    one, other = (departures(values[:, None], months, there[:, None])[0] for values in (soil, relative))
    return rmse, r, float(np.corrcoef(one, other)[0, 1]) if len(one) >= 12 else np.nan


def carbon_models() -> dict[str, HybridFlux]:
    """`hybrid_nirv`, and what becomes of it with the water of this experiment, its stress switched on and off in turn."""
    today = get("hybrid_nirv")
    water = (deep_water.DEEP_BUCKET_GREEN, stress.ACCLIMATION)
    gpp, reco = (stress.water_ramp_to_floor,), (respiration.moisture_ramp,)
    by_place = {"rew_critical": Pooled(Shared()), "drought_floor": Shared()}
    wide = {name: Pooled(Shared(), spread=1.0) for name in by_place}
    return {
        "bucket as it was": today,
        NONE: with_water(today, water, (), ()),
        "stress on GPP": with_water(today, water, gpp, (), **by_place),
        "stress on GPP, one threshold": with_water(today, water, gpp, (), rew_critical=Shared(), drought_floor=Shared()),
        BOTH: with_water(today, water, gpp, reco, **by_place),
        "stress on both, floor by place too": with_water(today, water, gpp, reco, **wide),
    }


def with_water(model: HybridFlux, memory, gpp: tuple[Callable, ...], reco: tuple[Callable, ...], **sources) -> HybridFlux:
    """The same model with other responses to soil water, of `memory`; without any, no soil water is kept."""
    responses = (stress.water_ramp, respiration.moisture_ramp)
    factors = [(*(one for one in product if one not in responses), *more) for product, more in ((model.gpp, gpp), (model.reco, reco))]
    dry = any("rew" in arguments(factor) for product in factors for factor in product)
    memory = memory if dry else (stress.ACCLIMATION,)
    every = {**model.sources, **MEASURED_WATER, **sources}
    used = {name for fn in (*factors[0], *factors[1], *(fn for one in memory for fn in one.functions)) for name in arguments(fn)}
    sources = {name: source for name, source in every.items() if name in used}
    return HybridFlux(gpp=factors[0], reco=factors[1], memory=memory, sources=sources, observed=model.observed.values())


def of_droughts(data: Path, out: Path, size: dict, sites: tuple[str, ...] | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of drought anomalies of all carbon models, and the thresholds of those that have them."""
    models = carbon_models()
    needs = {name for model in models.values() for name in model.needs_at_towers()} | {*DRYNESS_NEEDS}
    towers = open_towers(data, sites=sites, years=size["years"], vegetation="modis_fpar_c5_8day", needs=needs, screen=None)
    sequences = towers.sequences(needs - {"site"})
    keep, _ = leave_drought_out(sequences)
    usual = only_days(sequences, keep)
    method, tables, thresholds = Ensemble(members=size["members"], steps=size["updates"]), [], []
    for name, model in models.items():
        posterior = fitted(out, name, model, method, usual, "without drought", SEED)
        file = out / f"drought-{name.replace(' ', '_').replace(',', '')}.csv"
        if not file.exists():
            table = evaluate(posterior, sequences, draws=size["draws"], seed=SEED, step=("drought",))
            table.assign(model=name).to_csv(file, index=False)
        tables.append(pd.read_csv(file))
        draws = {key: values for key, values in posterior.parameter_draws().items() if key in ("rew_critical", "drought_floor")}
        thresholds += [{"model": name, "parameter": key, "low": np.min(of), "middle": np.median(of), "high": np.max(of)}
                       for key, of in draws.items()]  # fmt: skip
        print(f"{name}: done", flush=True)
    scores = pd.concat(tables, ignore_index=True)
    scores.to_csv(out / "drought.csv", index=False)
    return scores, pd.DataFrame(thresholds)


if __name__ == "__main__":
    main()
