"""E15 - From MODIS at 1 km to Sentinel-2 at 10 m: the same index of the same towers by both.

Pairs a clear date of Sentinel-2 (mean over the pixels of the tower's land cover) with a clear day of MODIS at most `APART` days away,
at towers that have both (2017 and 2018), and fits MODIS = offset + slope * Sentinel-2 for each index. What a fit on MODIS would have read
for a field that Sentinel-2 sees alone is this line: it holds the instruments, and the landscape that a pixel of 1 km mixes in. NIRv of
Sentinel-2 follows from its NDVI and EVI2, which hold red and near infrared.

The line is a structural one with errors in variables: the noise of a Sentinel-2 view is taken out of the variance of what it sees
(reliability ratio, Fuller 1987, Measurement Error Models, 1.2), every tower counts alike, and towers are resampled for the errors of
offset and slope. `residual_sd` is what towers differ by from their line (mean over a tower's pairs). Lines of plant types are compared
with one for all at towers left out; the catalog has the one for all.

Then six groups of towers are left out, and 2017-2020 at the towers left out is predicted from NIRv of Sentinel-2 at 10 m. `hybrid_nirv`
without LSWI (Sentinel-2 of these towers has no shortwave infrared) is fitted to MODIS until 2016, which reads Sentinel-2 as it is or by the
line that these towers had no part in; to Sentinel-2 of 2017-2020 alone; to both, Sentinel-2 by the line; and to both as they are, with the
instrument as an input of the networks, so that the fit learns how one differs from the other. GPP is also that of `gpp_2017_2023.csv.gz`,
which has crops and grass; NEE and RECO of 2017-2020 are of forests, savanna and two meadows. Scores of finished fits are kept beside the
results, and a run goes on from there.

    python experiments/e15_scale.py --data ../shared/data/towers --regions runs/e10 --out runs/e15

Fifteen minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import jax
import lswi_patches
import numpy as np
import pandas as pd
from e14_satellites import HYBRIDS, LEAF, gain, reading

from hybridflux.data.catalog import load_catalog
from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.data.imagery.indices import compute
from hybridflux.data.points import read_points
from hybridflux.data.reflectance import SMOOTHER, daily
from hybridflux.data.site_table import read_sites
from hybridflux.data.towers import open_towers
from hybridflux.evaluate.scores import score_table
from hybridflux.evaluate.splits import leave_site_out
from hybridflux.inference import Ensemble, Posterior
from hybridflux.model import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.provenance import config_hash, provenance
from hybridflux.vocabulary import CARBON, Covariate

INDICES = ("ndvi", "evi2", "nirv", "kndvi")
TARGET = "modis-1km-points"
SOURCE = "experiments/results/e15_scale.md"
APART = 2  # days
LEAST_PAIRS, LEAST_TOWERS = 5, 4  # of a tower; of a plant type that gets a line of its own
RESAMPLED, SEED = 2000, 1
MODEL = HYBRIDS["NIRv, acclimation"]
FIT = {"members": 2, "steps": 400, "draws": 20, "folds": 6}
FIRST, START = np.datetime64("2000-01-01"), np.datetime64("2017-01-01")  # of MODIS; of Sentinel-2
LEAST_DAYS, LEAST_OF_TYPE, LEAST_QC, WARM_UP = 60, 2, 0.75, 365
SENSOR = Covariate("sensor_at_10m", centre=0.5, scale=0.5)
REFERENCE = "1 km fit, as it is"
FORESTS = ("ENF", "EBF", "DBF", "MF")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder with `reflectance`")
    parser.add_argument("--regions", type=Path, help="folder with regions that E10 built: LSWI at both scales is compared there")
    parser.add_argument("--out", type=Path, default=Path("runs/e15"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pairs = matched(arguments.data)
    lines = {index: of_types(pairs, index) for index in INDICES}
    checks = pd.concat([left_out(pairs, index) for index in INDICES])
    (arguments.out / "lines.toml").write_text(toml({index: {"all": of_kind["all"]} for index, of_kind in lines.items()}))
    scores = learned_at(arguments.data, arguments.out, pairs)
    scores.to_csv(arguments.out / "scores.csv", index=False)
    built = sorted(path.with_suffix(".zarr") for path in arguments.regions.glob("*.build")) if arguments.regions else []
    patches = lswi_patches.lswi_of_patches(arguments.data, built) if built else None
    (arguments.out / "results.md").write_text(page(pairs, lines, checks, scores, patches))
    (arguments.out / "run.json").write_text(json.dumps(provenance({"model": to_spec(MODEL()), **FIT}, SEED), indent=1))
    print((arguments.out / "results.md").read_text())


def nir_and_red(ndvi: np.ndarray, evi2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Near infrared and red reflectance [1] of which NDVI and EVI2 are: two equations, two unknowns.

    >>> [round(float(band), 4) for band in nir_and_red(np.array(0.75), np.array(2.5 * 0.3 / 1.47))]
    [0.35, 0.05]
    """
    share = (1 - ndvi) / (1 + ndvi)  # red over near infrared
    nir = evi2 / (2.5 * (1 - share) - evi2 * (1 + 2.4 * share))
    return nir, nir * share


def sentinel2(folder: Path, sites: list[str]) -> dict[str, pd.Series]:
    """Index -> views by (site, day); views whose reflectance is none of land are left out."""
    views = read_points(folder / "reflectance" / "sentinel2_hrvpp_10m.csv.gz", load_catalog()["hr-vpp-points"], ("ndvi", "evi2"), sites)
    both = pd.DataFrame(views).dropna()
    both = both[both.ndvi.between(0.02, 0.97)]
    nir, red = nir_and_red(both.ndvi.to_numpy(), both.evi2.to_numpy())
    land = (nir > 0.02) & (nir < 0.8)
    bands = {"B08": nir[land], "B04": red[land]}
    return {index: pd.Series(compute(index, bands), both.index[land]) for index in INDICES}


def matched(folder: Path) -> pd.DataFrame:
    """Pairs: site, igbp, day, and of each index `<index>_10m` and `<index>_1km`; every view of Sentinel-2 with the nearest of MODIS."""
    table = read_sites(folder).rows
    fine = sentinel2(folder, list(table.index))
    coarse = read_points(folder / "reflectance" / "modis_1km.csv.gz", load_catalog()[TARGET], INDICES, list(table.index))
    frames = []
    for views, suffix in ((fine, "10m"), (coarse, "1km")):
        frame = pd.DataFrame(views).dropna().add_suffix(f"_{suffix}").reset_index()
        frames.append(frame.sort_values("day"))
    near = pd.merge_asof(*frames, on="day", by="site", direction="nearest", tolerance=pd.Timedelta(days=APART)).dropna()
    counts = near.groupby("site")["day"].transform("size")
    return near[counts >= LEAST_PAIRS].assign(igbp=lambda rows: rows.site.map(table["igbp"]))


def fitted(pairs: pd.DataFrame, index: str, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Offset and slope of the line through towers that count alike, the noise of Sentinel-2 views taken out of their variance.

    Args:
        pairs: of towers.
        index: of which.
        times: how often each tower counts `[draw, tower]`, in order of their names; once by default.
    """
    x, y = pairs[f"{index}_10m"], pairs[f"{index}_1km"]
    means = pd.DataFrame({"x": x, "y": y, "xx": x * x, "xy": x * y}).groupby(pairs.site).mean().to_numpy()
    weight = np.ones(len(means)) if times is None else times
    x, y, xx, xy = ((weight / weight.sum(-1, keepdims=True)) @ means).T
    slope = (xy - x * y) / np.maximum(xx - x * x - SMOOTHER[index].view_sd ** 2, 0.2 * (xx - x * x))
    return y - slope * x, slope


def line(pairs: pd.DataFrame, index: str) -> CalibrationLine:
    """The line of some towers, with its errors by resampling towers."""
    offset, slope = fitted(pairs, index)
    number = pairs.site.nunique()
    times = np.random.default_rng(SEED).multinomial(number, np.full(number, 1 / number), RESAMPLED)
    offsets, slopes = fitted(pairs, index, times[(times > 0).sum(axis=1) > 1])
    miss = pairs[f"{index}_1km"] - offset - slope * pairs[f"{index}_10m"]
    between = miss.groupby(pairs.site).mean().std()
    numbers = (offset, slope, offsets.std(), slopes.std(), np.corrcoef(offsets, slopes)[0, 1], between)
    return CalibrationLine(*(round(float(number), 3) for number in numbers), highest=1.0, lowest=-1.0, source=SOURCE)


def of_types(pairs: pd.DataFrame, index: str) -> dict[str, CalibrationLine]:
    """Lines of the plant types with enough towers, and one for all."""
    towers = pairs.groupby("igbp").site.nunique()
    lines = {kind: line(pairs[pairs.igbp == kind], index) for kind in towers.index[towers >= LEAST_TOWERS]}
    return lines | {"all": line(pairs, index)}


def left_out(pairs: pd.DataFrame, index: str) -> pd.DataFrame:
    """RMSE and bias of MODIS at each tower by lines that never saw it: none, one for all, that of the plant type where there is one."""
    rows = []
    for site, here in pairs.groupby("site"):
        rest, kind = pairs[pairs.site != site], here.igbp.iloc[0]
        alike = rest[rest.igbp == kind]
        ways = {"none": (0.0, 1.0), "all": fitted(rest, index)}
        if alike.site.nunique() >= LEAST_TOWERS - 1:
            ways["plant type"] = fitted(alike, index)
        for way, (offset, slope) in ways.items():
            miss = offset + slope * here[f"{index}_10m"] - here[f"{index}_1km"]
            rows.append({"index": index, "site": site, "igbp": kind, "line": way, "rmse": np.sqrt((miss**2).mean()), "bias": miss.mean()})
    return pd.DataFrame(rows)


def learned_at(folder: Path, out: Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """Scores of 2017-2020 at towers left out, read at 10 m, by the scale of what the model was fitted to."""
    names = {name for name in MODEL().needs_at_towers() if not name.startswith("nirv")}
    weather = with_gpp(open_towers(folder, needs=names, screen=None).sequences(names), folder)
    fine, coarse = (
        {site: of["nirv"] for site, of in daily(views["nirv"], SMOOTHER["nirv"], "nirv").items()} for views in both(folder, weather.places)
    )
    early, late = (weather.days >= FIRST) & (weather.days < START), weather.days >= START
    tables = []
    for number, (train, test) in enumerate(leave_site_out(weather, FIT["folds"], SEED)):
        offset, slope = fitted(pairs[~pairs.site.isin(test)], "nirv")
        by_line = {site: offset + slope * series for site, series in fine.items()}
        old, new, new_by_line = seen(weather, coarse, early), seen(weather, fine, late), seen(weather, by_line, late)
        fits = {
            "1 km": (MODEL(), [old], {"1 km fit, as it is": new, "1 km fit, by the line": new_by_line}),
            "10 m": (MODEL(), [new], {"10 m fit": new}),
            "both, line": (MODEL(), [old, new_by_line], {"fit of both, by the line": new_by_line}),
            "both, read": (with_instrument(), [at(old, 0.0), at(new, 1.0)], {"fit of both, instrument as an input": at(new, 1.0)}),
        }
        for name, (model, parts, read) in fits.items():
            file = out / f"{number}-{config_hash({'fit': name, 'model': to_spec(model), 'settings': FIT, 'test': list(test)})[:12]}.csv"
            if not file.exists():
                kept = [part.select([place for place in part.places if place.partition("@")[0] in train]) for part in parts]
                posterior = Ensemble(members=FIT["members"], steps=FIT["steps"]).fit(model, together(kept), seed=SEED + number)
                unseen = [(way, here, place) for way, here in read.items() for place in here.places if place in test]
                rows = [scored(posterior, here.select([place]), way) for way, here, place in unseen]
                pd.concat(rows, ignore_index=True).to_csv(file, index=False)
                print(f"group {number + 1}, {name}: done", flush=True)
            tables.append(pd.read_csv(file))
    scores = pd.concat(tables, ignore_index=True)
    return scores[scores.n >= LEAST_DAYS].assign(igbp=lambda rows: rows.site.map(read_sites(folder).rows["igbp"]))


def both(folder: Path, sites: tuple[str, ...]) -> tuple[dict, dict]:
    """Views of NIRv of Sentinel-2 and of MODIS."""
    modis = read_points(folder / "reflectance" / "modis_1km.csv.gz", load_catalog()[TARGET], ("nirv",), list(sites))
    return sentinel2(folder, list(sites)), modis


def with_gpp(sequences: Sequences, folder: Path) -> Sequences:
    """Targets of GPP completed from the table that goes on where the daily files have none."""
    table = pd.read_csv(folder / "gpp_2017_2023.csv.gz", parse_dates=["date"])
    table = table[table.NEE_VUT_MEAN_QC >= LEAST_QC].pivot_table(index="date", columns="site_id", values="GPP_NT_VUT_REF")
    more = table.reindex(index=pd.DatetimeIndex(sequences.days), columns=list(sequences.places)).to_numpy()
    gpp = sequences.targets["gpp"]
    return replace(sequences, targets={**sequences.targets, "gpp": np.where(np.isfinite(gpp), gpp, more).astype(np.float32)})


def seen(weather: Sequences, series: dict[str, pd.Series], days: np.ndarray) -> Sequences:
    """Sequences of the places that a satellite saw, whose targets count on some days only, where NIRv is known."""
    here, at = weather.select([place for place in weather.places if place in series]), pd.DatetimeIndex(weather.days)
    values = np.stack([series[place].reindex(at).to_numpy() for place in here.places], axis=1)
    known = np.isfinite(values) & days[:, None]
    whole = pd.DataFrame(values).interpolate(limit_direction="both").to_numpy(np.float32)
    ends = {name: np.nanquantile(values, share, axis=0).astype(np.float32) for name, share in (("nirv_base", 0.05), ("nirv_top", 0.95))}
    kept = days | np.append(days[WARM_UP:], np.zeros(WARM_UP, bool))  # a year before them, for the soil water
    drivers = {name: column[kept] if column.ndim == 2 else column for name, column in {**here.drivers, "nirv": whole, **ends}.items()}
    targets = {name: np.where(known, column, np.nan)[kept] for name, column in here.targets.items()}
    uncertainty = {name: column[kept] for name, column in here.uncertainty.items()}
    return replace(here, days=here.days[kept], drivers=drivers, targets=targets, uncertainty=uncertainty)


def with_instrument() -> HybridFlux:
    """The model with the instrument as an input of its networks."""
    return reading(MODEL(), (*LEAF, SENSOR), acclimated=True)


def at(sequences: Sequences, sensor: float) -> Sequences:
    """Sequences that say which instrument they are of."""
    return replace(sequences, drivers={**sequences.drivers, SENSOR.name: np.full(len(sequences.places), sensor, np.float32)})


def together(parts: list[Sequences]) -> Sequences:
    """Sequences side by side on the days of all; a tower that is in two is two places."""
    days = np.arange(min(part.days[0] for part in parts), max(part.days[-1] for part in parts) + 1)
    last = len(parts) - 1
    places = tuple(f"{place}@{number}" if number < last else place for number, part in enumerate(parts) for place in part.places)

    def joined(kind: str) -> dict[str, np.ndarray]:
        return {name: np.concatenate([spread_out(getattr(part, kind)[name], part.days, days) for part in parts], axis=-1)
                for name in getattr(parts[0], kind)}  # fmt: skip

    drivers = {name: fill_ends(values) for name, values in joined("drivers").items()}
    where = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("latitude", "longitude")}
    return Sequences(places, days, drivers, joined("targets"), joined("uncertainty"), **where)


def spread_out(values: np.ndarray, own: np.ndarray, days: np.ndarray) -> np.ndarray:
    """A series on more days, NaN where it has none."""
    if values.ndim == 1:
        return values
    out = np.full((len(days), values.shape[1]), np.nan, np.float32)
    out[(own - days[0]).astype(int)] = values
    return out


def fill_ends(values: np.ndarray) -> np.ndarray:
    """Drivers of days on which a place has no targets: the nearest that it has."""
    return pd.DataFrame(values).ffill().bfill().to_numpy(np.float32) if values.ndim == 2 else values


def scored(posterior: Posterior, here: Sequences, way: str) -> pd.DataFrame:
    """Scores of the mean of draws at a tower left out."""
    drawn = posterior.thin(FIT["draws"]).simulate(here, key=jax.random.key(0), noise=False, variables=CARBON)
    return score_table(here, {flux: np.mean(np.asarray(values), axis=0) for flux, values in drawn.items()}).assign(model=way)


def toml(lines: dict[str, dict[str, CalibrationLine]]) -> str:
    """The lines as they stand in the catalog."""
    parts = []
    for index, of_kind in lines.items():
        for kind, one in of_kind.items():
            fields = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in asdict(one).items()]
            parts.append("\n".join([f"[lines.{index}.{kind}]", *fields, ""]))
    return "\n".join(parts)


def page(
    pairs: pd.DataFrame, lines: dict[str, dict[str, CalibrationLine]], checks: pd.DataFrame, scores: pd.DataFrame,
    patches: pd.DataFrame | None,
) -> str:  # fmt: skip
    """The results as Markdown."""
    rows = ["| index | plant type | offset | slope | sd of offset | sd of slope | correlation | towers differ by |", "|" + "---|" * 8]
    for index, of_kind in lines.items():
        for kind, one in of_kind.items():
            cells = (one.offset, one.slope, one.offset_sd, one.slope_sd, one.correlation, one.residual_sd)
            rows.append(f"| {index} | {kind} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    typed = checks[checks.site.isin(checks[checks.line == "plant type"].site)]
    tables = {"all towers": checks[checks.line != "plant type"], "towers of plant types with a line": typed}
    tested = ["| towers | index | line | RMSE | rms of bias | towers |", "|" + "---|" * 6]
    for name, table in tables.items():
        for (index, way), part in table.groupby(["index", "line"], sort=False):
            tested.append(f"| {name} | {index} | {way} | {part.rmse.mean():.3f} | {np.sqrt((part.bias**2).mean()):.3f} | {len(part)} |")
    columns = " | ".join(f"{name} median NSE | {name} nNSE | {name} RMSE" for name in ("NEE", "GPP", "RECO"))
    flux = [f"| unseen towers, 2017-2020 | {columns} |"]
    flux.append("|" + "---|" * 10)
    for way, part in scores.groupby("model", sort=False):
        cells = [f"| {way} |"]
        for name in ("NEE", "GPP", "RECO"):
            of = part[part.variable == name]
            cells.append(f" {of.nse.median():.2f} | {(1 / (2 - of.nse)).mean():.3f} | {of.rmse.mean():.2f} |")
        flux.append("".join(cells))
    gains = [f"| minus `{REFERENCE}`, nNSE | towers | NEE | GPP | RECO |", "|" + "---|" * 5]
    for label, of in (("forests", scores[scores.igbp.isin(FORESTS)]), ("others", scores[~scores.igbp.isin(FORESTS)]), ("all", scores)):
        number = {name: of[of.variable == name].site.nunique() for name in ("NEE", "GPP", "RECO")}
        for way in scores.model.unique():
            if way != REFERENCE:
                cells = " | ".join(f"{gain(of, way, REFERENCE, name)}" for name in number)
                gains.append(f"| {way} | {label}: {number['NEE']} ({number['GPP']} of GPP) | {cells} |")
    nnse = scores.assign(nnse=1 / (2 - scores.nse)).pivot_table(index=["variable", "igbp"], columns="model", values="nnse", sort=False)
    number = scores.groupby(["variable", "igbp"]).site.nunique()
    kinds = ["| flux | plant type | towers | " + " | ".join(nnse.columns) + " |", "|" + "---|" * (3 + len(nnse.columns))]
    for (name, kind), row in nnse[number[nnse.index] >= LEAST_OF_TYPE].sort_index().iterrows():
        kinds.append(f"| {name} | {kind} | {number[name, kind]} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    counts = pairs.groupby("igbp").site.nunique().to_dict()
    return "\n".join([
        "# E15: the same index at 1 km and at 10 m", "",
        f"{len(pairs)} pairs of a Sentinel-2 date and a MODIS day at most {APART} days apart, {pairs.site.nunique()} towers "
        f"({', '.join(f'{number} {kind}' for kind, number in counts.items())}), {pairs.day.min():%Y-%m-%d} to {pairs.day.max():%Y-%m-%d}.",
        "Command: `python experiments/e15_scale.py --data TOWERS --regions runs/e10 --out runs/e15`.", "",
        "## Lines, MODIS = offset + slope * Sentinel-2", "", *rows, "", "## Towers left out", "", *tested, "",
        "## At which scale the model is fitted", "",
        f"{FIT['folds']} groups of towers left out, all read Sentinel-2 at 10 m; mean over towers with at least {LEAST_DAYS} days; nNSE: "
        "mean of 1 / (2 - NSE); RMSE in gC m-2 d-1; 90 % intervals of differences by resampling towers.", "", *flux, "", *gains, "",
        "nNSE by plant type:", "", *kinds, "",
        *([] if patches is None else lswi_patches.page(patches)),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
