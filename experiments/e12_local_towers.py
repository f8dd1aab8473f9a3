"""E12 - What does a tower tell of its neighbours and of other years, and which errors come again next year?

Pairs of towers of one plant type nearer than 100 km are split over two folds, so that each is left out of one fit that knows its
neighbour. At each left-out tower its yearly NEE is predicted three times: without the neighbour (effects of the place from the
population), with it (effects conditioned on those of the neighbours, then the structural error conditioned on their residuals too, as
`hybridflux map` does) and, of a fit to all towers, with its own effects. Scored are the width and the coverage of 90 % intervals, with
structural and measuring error. Then every second year of each tower of four or more is left out of a fit to the others: these years are
predicted without the tower, with its effects, and with its effects and its residuals in the other years. Then the structural error: how
often 90 % intervals hold days, months, years, five-year means, differences of years and anomalies at towers that a member of the ensemble
left out; and how such residuals of two towers correlate with their distance.

    python experiments/e12_local_towers.py --data ../shared/data/towers --out runs/e12
    python experiments/e12_local_towers.py --data ../shared/data/towers --out runs/e12_all --no-screen

NEE = RECO - GPP, positive to the atmosphere, gC m-2 yr-1. About six minutes on two free cores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from hybridflux.data.towers import SCREEN, open_towers
from hybridflux.evaluate.metrics import interval
from hybridflux.evaluate.splits import only_days
from hybridflux.inference import Ensemble
from hybridflux.inference.batch import Indices
from hybridflux.inference.conditioned_error import structural_error_given
from hybridflux.inference.fit_effect_correlation import distances
from hybridflux.inference.mean_residuals import residual_means
from hybridflux.inference.posterior import Posterior
from hybridflux.model.compositions import get
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.learned import learned, physics_effects, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PLANT_TYPES

NEAR, SEED, DRAWS = 100_000.0, 1, 96  # m
FULL = {"members": 8, "steps": 800}
LEAST = {"month": 15, "year": 200, "5 years": 700}  # observed days
WAYS = ("without the neighbour", "with its effects", "with its effects and residuals", "effects of the place itself")
OTHER_YEARS = ("without the tower", "its effects", "its effects and residuals")
RESAMPLES = 2000
FEWEST_YEARS = 4  # of a tower of which every second year is left out


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e12"))
    parser.add_argument("--model", default="hybrid_nirv", help="composition")
    parser.add_argument("--vegetation", default="auto", help="vegetation series of the towers")
    parser.add_argument("--no-screen", action="store_true", help="take towers too whose record `hybridflux fit` holds implausible")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = get(arguments.model)
    towers = open_towers(
        arguments.data, vegetation=arguments.vegetation, needs=model.needs_at_towers(), screen=None if arguments.no_screen else SCREEN
    )
    sequences = towers.sequences(model.needs_at_towers())
    everyone = fitted(model, sequences, arguments.out / "all.nc")
    rows, neighbours = [], neighbours_of(sequences)
    for number, targets in enumerate(folds(neighbours)):
        rest = sequences.select([place for place in sequences.places if place not in targets])
        posterior = fitted(model, rest, arguments.out / f"fold{number}.nc")
        for place in targets:
            rows += list(scores_of(posterior, everyone, sequences, place, [one for one in neighbours[place] if one not in targets]))
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out / "neighbours.csv", index=False)
    unseen = every_second_year(sequences)
    half = fitted(model, only_days(sequences, ~unseen), arguments.out / "half.nc")
    years = pd.DataFrame(other_years_of(half, everyone, sequences, unseen))
    years.to_csv(arguments.out / "other_years.csv", index=False)
    persistent = pd.DataFrame(persistence_of(everyone, sequences))
    persistent.to_csv(arguments.out / "persistence.csv", index=False)
    space = pd.DataFrame(between_towers(everyone, sequences))
    space.to_csv(arguments.out / "space.csv", index=False)
    text = report(table, years, persistent, space, everyone) + "\n".join(each_tower(table, sequences)) + "\n"
    (arguments.out / "results.md").write_text(text)
    print(text)


def fitted(model, sequences: Sequences, path: Path) -> Posterior:
    """A fit, or the one that is there."""
    if not path.exists():
        Ensemble(**FULL).fit(model, sequences, seed=SEED).save(path)
    return Posterior.load(path)


def neighbours_of(sequences: Sequences) -> dict[str, list[str]]:
    """Towers of the same plant type within `NEAR`, of each that has some."""
    kind, away = np.asarray(sequences.drivers["plant_type"]), distances(sequences.latitude, sequences.longitude)
    near = (kind[:, None] == kind) & (away < NEAR) & ~np.eye(len(kind), dtype=bool)
    names = np.array(sequences.places)
    return {str(place): names[row].tolist() for place, row in zip(names, near, strict=True) if row.any()}


def folds(neighbours: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Two sets of towers; each tower has a neighbour that is not in its own set."""
    sides: dict[str, int] = {}
    for place in sorted(neighbours, key=lambda one: (-len(neighbours[one]), one)):
        there = [sides[one] for one in neighbours[place] if one in sides]
        sides[place] = int(there.count(0) >= there.count(1)) if there else len(sides) % 2
    return tuple([place for place, side in sides.items() if side == fold] for fold in (0, 1))


def scores_of(posterior: Posterior, everyone: Posterior, sequences: Sequences, place: str, known: list[str]) -> Iterator[dict]:
    """Width of a year without noise, and coverage of years and months with it, of a tower that the first posterior has not seen."""
    if not known:
        return
    here = sequences.select([place])
    near = conditioned(posterior, sequences, place, known)
    for way, one in zip(WAYS, (posterior, near, near, everyone), strict=True):
        draws = one.thin(DRAWS)
        fluxes = draws.simulate(here, key=jax.random.key(SEED))
        noisy = with_error(draws, fluxes, here, *((sequences, known),) * (way == WAYS[2]))
        observed, times = here.targets["nee"][:, 0], here.days
        found = {"place": place, "plant_type": PLANT_TYPES[int(here.drivers["plant_type"][0])], "way": way, "neighbours": ", ".join(known)}
        means, without_noise = (np.asarray(values)[..., 0] for values in (noisy, fluxes["nee"]))
        for name in ("month", "year", "5 years"):
            truth, drawn = period_means(observed, means, times, name)
            low, high = ends_of(drawn)
            found |= {f"{name}: n": len(truth), f"{name}: inside": int(((truth >= low) & (truth <= high)).sum())}
            found[f"{name}: width"] = 365.0 * float((high - low).mean()) if len(truth) else np.nan
        _, drawn = period_means(observed, without_noise, times, "year")
        found["year: width of the model"] = 365.0 * float(np.diff(ends_of(drawn), axis=0).mean())
        yield found


def conditioned(posterior: Posterior, sequences: Sequences, place: str, known: list[str]) -> Posterior:
    """The posterior with the effects of one more place, given those of its neighbours, draw by draw."""
    correlation, draws = EffectCorrelation.of(posterior.info), posterior.thin(DRAWS)
    rows = [sequences.places.index(one) for one in (place, *known)]
    k = sum(correlation.parts(distances(sequences.latitude[rows], sequences.longitude[rows])))
    gain = np.linalg.solve(k[1:, 1:] + 1e-4 * np.eye(len(known)), k[1:, 0])
    rng, tables = np.random.default_rng(SEED), {}
    for name in physics_effects(posterior.model):
        table = np.asarray(learned(draws.model)[name])
        at = [draws.places.index(one) for one in known]
        own = table[:, at] @ gain + rng.standard_normal(DRAWS) * (1.0 - gain @ k[1:, 0]) ** 0.5
        tables[name] = jnp.asarray(np.concatenate([table, own[:, None]], axis=1), jnp.float32)
    return replace(draws, model=with_learned(draws.model, tables), indices=Indices((*draws.places, place), draws.indices.years))


def with_error(posterior: Posterior, fluxes: dict, here: Sequences, informed: tuple[Sequences, list[str]] | None = None) -> np.ndarray:
    """NEE with structural and measuring error `[draw, time, place]`.

    Args:
        posterior: with its draws.
        fluxes: of a place.
        here: the place.
        informed: the places of a fit, and those among them through whose residuals the structural error passes.
    """
    known, activity = jnp.nan_to_num(jnp.asarray(here.uncertainty["nee"])), 0.5 * (fluxes["gpp"] + fluxes["reco"])
    keys, error = jax.random.split(jax.random.key(SEED + 1), posterior.draws), posterior.structure.of_draws(posterior.draws)
    if informed is None:
        kinds = np.asarray(here.drivers["plant_type"])
        return jax.vmap(lambda one, key, nee, size: one.sample(key, nee, size, known, kinds))(error, keys, fluxes["nee"], activity)
    noise = jax.vmap(lambda one, key, nee: one.noise(key, nee, known))(error, keys, fluxes["nee"])
    sequences, towers = informed
    rows = [sequences.places.index(one) for one in (here.places[0], *towers)]
    correlation = EffectCorrelation(**{name: posterior.info["structural_correlation"][name] for name in ("length", "nugget")})
    rho = sum(correlation.parts(distances(sequences.latitude[rows], sequences.longitude[rows])))
    numbers = [posterior.places.index(one) for one in towers]
    kind = int(here.drivers["plant_type"][0])
    drift = structural_error_given(posterior, np.asarray(activity)[..., 0], here.days, posterior.residuals, numbers, rho, kind, SEED)
    return np.asarray(fluxes["nee"] + noise) + drift[..., None]


def every_second_year(sequences: Sequences) -> np.ndarray:
    """Days `[time, place]` that are left out: every second year with 200 measured days or more of towers with four or more."""
    year, found = sequences.days.astype("datetime64[Y]").astype(int), np.zeros((len(sequences.days), len(sequences.places)), bool)
    for place, observed in enumerate(sequences.targets["nee"].T):
        years, count = np.unique(year[np.isfinite(observed)], return_counts=True)
        full = years[count >= LEAST["year"]]
        found[:, place] = np.isin(year, full[1::2]) & (len(full) >= FEWEST_YEARS)
    return found


def other_years_of(half: Posterior, everyone: Posterior, sequences: Sequences, unseen: np.ndarray) -> Iterator[dict]:
    """Coverage and width of each way and kind of period, in the years that a tower is left out."""
    for number in np.flatnonzero(unseen.any(axis=0)):
        place = sequences.places[number]
        here = sequences.select([place])
        stranger = replace(here, places=(f"{place}, left out",))
        without = replace(everyone.pick(everyone.info["draws_without"][place]).thin(DRAWS), structure=everyone.structure)
        observed = np.where(unseen[:, number], here.targets["nee"][:, 0], np.nan)
        for way, draws, at, informed in (
            (OTHER_YEARS[0], without, stranger, None), (OTHER_YEARS[1], half.thin(DRAWS), here, None),
            (OTHER_YEARS[2], half.thin(DRAWS), here, (sequences, [place])),
        ):  # fmt: skip
            means = np.asarray(with_error(draws, draws.simulate(at, key=jax.random.key(SEED)), at, informed))[..., 0]
            for name in ("day", "month", "year"):
                yield {"place": place, "way": way, "what": name} | held(*period_means(observed, means, here.days, name))
            yield {"place": place, "way": way, "what": "year - unseen year before"} | held(*differences(observed, means, here.days, 2))
            yield {"place": place, "way": way, "what": "anomaly of a year"} | held(*anomalies(observed, means, here.days, "year"))


def period_means(observed: np.ndarray, drawn: np.ndarray, days: np.ndarray, length: str) -> tuple[np.ndarray, np.ndarray]:
    """Means over the observed days of each period `[period]`, and of the draws `[draw, period]`."""
    seen = np.isfinite(observed)
    years = days.astype("datetime64[Y]").astype(int)
    label = {"day": np.arange(len(days)), "month": days.astype("datetime64[M]").astype(int), "year": years, "5 years": years // 5}[length]
    labels, group, count = np.unique(label[seen], return_inverse=True, return_counts=True)
    keep = count >= LEAST.get(length, 1)
    sums = np.zeros((drawn.shape[0] + 1, len(labels)))
    np.add.at(sums.T, group, np.concatenate([observed[None], drawn])[:, seen].T)
    means = (sums / count)[:, keep]
    return means[0], means[1:]


def persistence_of(everyone: Posterior, sequences: Sequences) -> Iterator[dict]:
    """Of each tower and kind of period: how many there are and how many a 90 % interval of the draws holds, the tower left out."""
    for place in sequences.places:
        here, away = replace(sequences.select([place]), places=(f"{place}, left out",)), everyone.info["draws_without"][place]
        draws = everyone.pick(away).thin(DRAWS)
        draws = replace(draws, structure=everyone.structure)
        means = np.asarray(with_error(draws, draws.simulate(here, key=jax.random.key(SEED)), here))[..., 0]
        observed, days = here.targets["nee"][:, 0], here.days
        for name in ("day", "month", "year", "5 years"):
            yield {"place": place, "what": name} | held(*period_means(observed, means, days, name))
        yield {"place": place, "what": "year - year before"} | held(*differences(observed, means, days))
        yield {"place": place, "what": "anomaly of a year"} | held(*anomalies(observed, means, days, "year"))
        yield {"place": place, "what": "anomaly of a month"} | held(*anomalies(observed, means, days, "month"))


def ends_of(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 90 % intervals of draws `[draw, period]`, between which a further draw lies in 90 % of all cases (`metrics.interval`)."""
    return interval(np.sort(drawn.T, axis=-1), 0.9)


def held(truth: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """How many there are, the share inside, and the mean width of the interval."""
    if not len(truth):
        return {"n": 0, "inside": np.nan, "width": np.nan}
    low, high = ends_of(drawn)
    return {"n": len(truth), "inside": float(((truth >= low) & (truth <= high)).mean()), "width": float((high - low).mean())}


def _labelled(observed: np.ndarray, drawn: np.ndarray, days: np.ndarray, length: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of the periods that `period_means` keeps, and their means."""
    label = days.astype("datetime64[Y]" if length == "year" else "datetime64[M]").astype(int)
    kept, count = np.unique(label[np.isfinite(observed)], return_counts=True)
    return kept[count >= LEAST[length]], *period_means(observed, drawn, days, length)


def differences(observed: np.ndarray, drawn: np.ndarray, days: np.ndarray, most: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Each year minus the one before, at most some years apart."""
    year, truth, draws = _labelled(observed, drawn, days, "year")
    at = np.flatnonzero(np.diff(year) <= most)
    return truth[at + 1] - truth[at], draws[:, at + 1] - draws[:, at]


def anomalies(observed: np.ndarray, drawn: np.ndarray, days: np.ndarray, length: str) -> tuple[np.ndarray, np.ndarray]:
    """Each year, or month of the year, minus the mean of the others, of three or more."""
    label, truth, draws = _labelled(observed, drawn, days, length)
    season, parts = (0 * label if length == "year" else label % 12), []
    for one in np.unique(season):
        at = np.flatnonzero(season == one)
        if len(at) >= 3:
            away = (np.eye(len(at)) - 1.0 / len(at)) * len(at) / (len(at) - 1)
            parts.append((truth[at] @ away, draws[:, at] @ away))
    if not parts:
        return np.empty(0), np.empty((len(drawn), 0))
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts], axis=1)


def between_towers(everyone: Posterior, sequences: Sequences) -> Iterator[dict]:
    """Correlation of monthly residuals of left-out towers, by distance, of the same and of different plant types.

    Residuals in units of the structural error of weeks; `anomaly` are those less the mean of the same month of other years.
    """
    away = np.zeros((everyone.draws, len(sequences.places)), bool)
    for place, draws in everyone.info["draws_without"].items():
        away[draws, sequences.places.index(place)] = True
    month = residual_means(everyone.model, sequences, away)[2]
    p = {name: float(np.median(values)) for name, values in everyone.structure.values().items()}
    residual = np.full((len(sequences.places), int(month.number.max()) + 1), np.nan)
    residual[month.place, month.number] = month.residual / (p["structural_floor"] + p["structural_slope"] * month.activity)
    anomaly = residual.copy()
    for season in range(12):
        values = anomaly[:, season::12]
        count = np.isfinite(values).sum(1, keepdims=True)
        anomaly[:, season::12] = np.where(count >= 3, values - np.nansum(values, 1, keepdims=True) / np.maximum(count, 1), np.nan)
    kilometres, kind = distances(sequences.latitude, sequences.longitude) / 1e3, np.asarray(sequences.drivers["plant_type"])
    for what, values in (("residual", residual), ("anomaly", anomaly)):
        for same in (True, False):
            for low, high in ((0, 50), (50, 150), (150, 400), (400, 800), (800, 1600)):
                pairs = np.argwhere(np.triu((kilometres >= low) & (kilometres < high) & ((kind[:, None] == kind) == same), 1))
                found = []
                for one, other in pairs:
                    both = np.isfinite(values[one]) & np.isfinite(values[other])
                    if both.sum() >= 12:
                        a, b = values[one, both], values[other, both]
                        found.append(np.mean(a * b) / np.sqrt(np.mean(a**2) * np.mean(b**2)))
                error = float(np.std(found) / max(len(found), 1) ** 0.5) if found else np.nan
                yield {"what": what, "plant type": "same" if same else "different", "km": f"{low} to {high}", "pairs": len(found),
                       "correlation": float(np.mean(found)) if found else np.nan, "standard error": error}  # fmt: skip


def around(correlation: EffectCorrelation, kilometres: float, points: int = 1500) -> tuple[float, float]:
    """Sd of the mean effect over a disc around a tower, in sd of the population, without and with the tower."""
    rng = np.random.default_rng(SEED)
    radius, angle = 1e3 * kilometres * np.sqrt(rng.uniform(size=points)), rng.uniform(0, 2 * np.pi, points)
    at = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    between = sum(correlation.parts(np.hypot(*(at[:, None] - at).transpose(2, 0, 1))))
    mean, to_tower = between[~np.eye(points, dtype=bool)].mean(), sum(correlation.parts(radius)).mean()
    return float(mean**0.5), float((mean - to_tower**2) ** 0.5)


def each_tower(table: pd.DataFrame, sequences: Sequences) -> Iterator[str]:
    """What decides the coverage at neighbours: each tower, what it measured, the share held without it; then the bootstrap of towers."""
    of_way = table[table.way == WAYS[2]].set_index("place")
    counts = of_way[["year: inside", "year: n", "month: inside", "month: n"]]
    names = "tower", "type", "neighbours", "NEE", "RECO / GPP", "years held", "months held", "without it: years", "months"
    yield from ("", f"| {' | '.join(names)} |", "|" + "---|" * len(names))
    for place, row in of_way.iterrows():
        rest = counts.drop(place).sum()
        nee, ratio = measured(sequences, place)
        yield (
            f"| {place} | {row.plant_type} | {row.neighbours} | {nee:.0f} | {ratio:.2f} | {row['year: inside']} of {row['year: n']} "
            f"| {row['month: inside']} of {row['month: n']} | {100 * rest['year: inside'] / rest['year: n']:.0f} % "
            f"| {100 * rest['month: inside'] / rest['month: n']:.0f} % |"
        )
    random = np.random.default_rng(SEED).integers(0, len(counts), (RESAMPLES, len(counts)))
    for what in ("year", "month"):
        inside, number = (counts[f"{what}: {one}"].to_numpy(float) for one in ("inside", "n"))
        pooled = inside[random].sum(1) / number[random].sum(1)
        alike = np.nanmean((inside / np.where(number > 0, number, np.nan))[random], axis=1)
        ends = [" to ".join(f"{100 * one:.0f}" for one in np.quantile(shares, (0.05, 0.95))) for shares in (pooled, alike)]
        yield from ("", f"Towers drawn anew, {what}s held, 90 %: {ends[0]} % of all, {ends[1]} % with each tower alike.")


def measured(sequences: Sequences, place: str) -> tuple[float, float]:
    """Mean NEE of the days that a tower measured, gC m-2 yr-1, and what it says to be respired of what is taken up."""
    gpp, reco, nee = (np.nanmean(sequences.select([place]).targets[name]) for name in ("gpp", "reco", "nee"))
    return 365.0 * float(nee), float(reco / gpp)


def report(table: pd.DataFrame, years: pd.DataFrame, persistent: pd.DataFrame, space: pd.DataFrame, everyone: Posterior) -> str:
    """The tables of the note."""
    table = table.assign(held=table["year: inside"] / table["year: n"].where(table["year: n"] > 0))
    french_or_german = table[table.place.str[:2].isin(("FR", "DE"))]
    lines = [
        "| pairs | NEE of a year | towers | years | width of the model | width | years held | each tower alike | months held |",
        "|" + "---|" * 9,
    ]
    for name, part in (("all pairs", table), ("France and Germany", french_or_german)):
        for way in WAYS:
            of_way = part[part.way == way]
            shares = [of_way[f"{one}: inside"].sum() / max(of_way[f"{one}: n"].sum(), 1) for one in ("year", "month")]
            widths = [of_way[f"year: width{one}"].mean() for one in (" of the model", "")]
            lines.append(
                f"| {name} | {way} | {len(of_way)} | {of_way['year: n'].sum()} | {widths[0]:.0f} | {widths[1]:.0f} "
                f"| {100 * shares[0]:.0f} % | {100 * of_way.held.mean():.0f} % | {100 * shares[1]:.0f} % |"
            )
    lines += ["", "| years left out | way | towers | n | inside 90 % | each tower alike | width | share |", "|" + "---|" * 8]
    for what, part in years[years.n > 0].groupby("what", sort=False):
        first = part[part.way == OTHER_YEARS[0]].width.mean()
        for way in OTHER_YEARS:
            of_way = part[part.way == way]
            inside, scale = (of_way.n * of_way.inside).sum() / of_way.n.sum(), 365.0 if "year" in what else 1.0
            lines.append(
                f"| {what} | {way} | {len(of_way)} | {int(of_way.n.sum())} | {100 * inside:.1f} % | {100 * of_way.inside.mean():.1f} % "
                f"| {scale * of_way.width.mean():.4g} | {100 * of_way.width.mean() / first:.0f} % |"
            )
    lines += ["", "| what (each tower counts the same) | towers | n | inside 90 % |", "|---|---|---|---|"]
    for what, part in persistent[persistent.n > 0].groupby("what", sort=False):
        lines.append(f"| {what} | {len(part)} | {int(part.n.sum())} | {100 * part.inside.mean():.1f} % |")
    lines += ["", "| monthly NEE | plant type | km | pairs | correlation |", "|---|---|---|---|---|"]
    for row in space.to_dict("records"):
        value = f"{row['correlation']:.2f} ± {row['standard error']:.2f}"
        lines.append(f"| {row['what']} | {row['plant type']} | {row['km']} | {row['pairs']} | {value} |")
    correlation = EffectCorrelation.of(everyone.info)
    lines += ["", "| disc around a tower [km] | sd of its mean effect without the tower | with it |", "|---|---|---|"]
    lines += [f"| {size:g} | {' | '.join(f'{one:.2f}' for one in around(correlation, size))} |" for size in (0.1, 0.5, 2, 10, 30, 100)]
    learned_of = {name: everyone.info[name] for name in ("effect_correlation", "structural_correlation", "structural_error")}
    return "\n".join(lines) + "\n\n```json\n" + json.dumps(learned_of) + "\n```\n"


if __name__ == "__main__":
    main()
