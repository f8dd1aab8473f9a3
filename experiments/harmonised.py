"""What a line from NDVI to fapar does to a real patch, beside the network on Sentinel-2 bands; the page and the figure of E09."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pairs
import pandas as pd
import xarray as xr
from lines import line_sd

from hybridflux.data.harmonisation import ALL, CalibrationLine
from hybridflux.data.imagery import fapar as network
from hybridflux.data.imagery import reader
from hybridflux.data.imagery.indices import compute
from hybridflux.series import fill, learn
from hybridflux.vocabulary import PLANT_TYPES

START, END = np.datetime64("2017-12-01"), np.datetime64("2018-11-30")  # as in E02
DRAWS = 400
RADIATION = "solar_radiation_flux"


@dataclass(frozen=True)
class Effect:
    """Flanders, December 2017 to November 2018, labelled fields and grassland.

    Attributes:
        table: a row a line or algorithm: mean fapar of the year, mean weighted with radiation, of crops and of grassland.
        cycles: name -> `[24]` mean cycle of the patch.
        views: what single views say: correlation of the network with NDVI, its mean minus that of each line, views.
        gpp_sd: relative sd of the fapar weighted with radiation, by the line alone, of the year [1].
    """

    table: pd.DataFrame
    cycles: dict[str, np.ndarray]
    views: dict[str, float]
    gpp_sd: float


def effect_on_flanders(data: Path, lines: dict[str, CalibrationLine], seed: int, pixels: int) -> Effect:
    """Daily fapar of a sample of pixels by the lines, other lines, and the network."""
    dataset, place, geobox, cover = pairs.region("flanders-demo", data)
    scenes = reader(dataset.format)(dataset, place, geobox, START - 122, END)
    land = np.isin(cover, [PLANT_TYPES.index(kind) for kind in ("CRO", "GRA")])
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(land))[:pixels]
    ndvi, green = [], []
    for scene in scenes:
        seen = scene.read(geobox, ("B08", *network.BANDS, *network.ANGLES))
        seen = {name: values.reshape(-1)[chosen] for name, values in seen.items()}
        ndvi.append(compute("ndvi", seen))
        green.append(network.fapar(seen))
    ndvi, green = np.array(ndvi, np.float32), np.array(green, np.float32)
    when = (np.array([scene.day for scene in scenes]) - (START - 122)).astype(int)
    days = int((END - START).astype(int)) + 123
    index, direct = (fill(views, when, days, process=learn(views, when, days)).mean[122:] for views in (ndvi, green))
    light = radiation(Path(place))
    kind = cover.reshape(-1)[chosen]
    parts = {what: kind == PLANT_TYPES.index(what) for what in ("CRO", "GRA")}
    every = {"e09": lambda values: by_type(lines, parts, values)}
    every |= {name: lambda values, one=one: one.applied(values, 0.0)[0] for name, one in pairs.OTHER_LINES.items()}
    daily = {name: tell(index) for name, tell in every.items()}
    daily["network"] = np.clip(direct, 0.0, 1.0)
    rows = [{"line": name, "year": fapar.mean(), "light": (fapar.mean(axis=1) @ light) / light.sum(),
             **{what: fapar[:, part].mean() for what, part in parts.items()}} for name, fapar in daily.items()]  # fmt: skip
    half = pairs.half_month(START + np.arange(len(light)))
    cycles = {name: np.array([fapar[half == number].mean() for number in range(pairs.HALVES)]) for name, fapar in daily.items()}
    both = np.isfinite(ndvi) & np.isfinite(green)
    views = {"number": int(both.sum()), "r": float(np.corrcoef(ndvi[both], green[both])[0, 1])}
    views |= {name: float((green - tell(ndvi))[both].mean()) for name, tell in every.items()}
    slope, offset = np.polyfit(ndvi[both], green[both], 1)
    views |= {"slope": float(slope), "offset": float(offset), "sd": float((green[both] - offset - slope * ndvi[both]).std())}
    return Effect(pd.DataFrame(rows), cycles, views, relative_sd(lines["CRO"], daily["e09"], light, seed))


def by_type(lines: dict[str, CalibrationLine], parts: dict[str, np.ndarray], values: np.ndarray) -> np.ndarray:
    """Fapar `[..., pixel]` of an index, each plant type by its line."""
    out = np.full(values.shape, np.nan, np.float32)
    for kind, part in parts.items():
        out[:, part] = lines.get(kind, lines[ALL]).applied(values[:, part], 0.0)[0]
    return out


def radiation(place: Path) -> np.ndarray:
    """Daily shortwave radiation of AgERA5 from START to END [J m-2 d-1]."""
    with xr.open_dataset(next(place.glob("AgERA5*.nc")), engine="h5netcdf", mask_and_scale=False) as file:
        day = file["timestamp"].values.astype("datetime64[D]")
        return file[RADIATION].values.reshape(len(day)).astype(float)[(day >= START) & (day <= END)]


def relative_sd(line: CalibrationLine, fapar: np.ndarray, light: np.ndarray, seed: int) -> float:
    """Relative sd of the light absorbed in a year that the error of a line makes, as `region/vegetation` draws it."""
    error = line.relative()
    normal = np.random.default_rng(seed).standard_normal((2, DRAWS))
    offset = error["offset_sd"] * normal[0]
    slope = error["slope_sd"] * (error["correlation"] * normal[0] + np.sqrt(1 - error["correlation"] ** 2) * normal[1])
    few = fapar[:, :: max(fapar.shape[1] // 50, 1)]
    share = light / light.sum()
    total = np.array([(np.clip((1 + s) * few + o, 0, 1).mean(axis=1) * share).sum() for o, s in zip(offset, slope, strict=True)])
    return float(total.std() / total.mean())


def report(size, spread, listed, cycles, towers, lines, draws, checks, effect: Effect) -> str:
    """The results as a Markdown page."""
    parts = (
        ["# E09: from NDVI at 10 m to the MODIS FPAR of the towers", "",
         f"{size['pixels']} pixels of each patch, {size['draws']} draws. Command: see the head of `experiments/e09_harmonisation.py`.", ""],
        _matched(listed, cycles, towers),
        _spread(spread),
        _lines(lines, draws),
        _checks(checks),
        _effect(effect),
    )  # fmt: skip
    return "\n".join(line for part in parts for line in (*part, "")) + "\n"


def _table(table: pd.DataFrame, digits: int) -> list[str]:
    head = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    cells = [[f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.itertuples(index=False)]
    return head + ["| " + " | ".join(row) + " |" for row in cells]


def _matched(listed: pd.DataFrame, cycles: dict, towers: dict) -> list[str]:
    rows = []
    for name, (_, cycle) in cycles.items():
        if not towers[name]:
            continue
        light = np.isfinite(cycle.mean) & np.isin(np.arange(pairs.HALVES), np.arange(4, 20))
        every = np.array([tower.mean for tower in towers[name]])
        fpar = every.mean(axis=0)
        rows.append({"patch": name, "half-months": int(light.sum()), "years": cycle.years, "NDVI": cycle.mean[light].mean(),
                     "NDVI range": f"{cycle.mean[light].min():.2f}-{cycle.mean[light].max():.2f}", "FPAR": fpar[light].mean(),
                     "FPAR range": f"{fpar[light].min():.2f}-{fpar[light].max():.2f}",
                     "of towers": " ".join(f"{tower.site} {tower.mean[light].mean():.2f}" for tower in towers[name]),
                     "r in time": np.corrcoef(cycle.mean[light], fpar[light])[0, 1]})  # fmt: skip
    return ["## What was matched with what", "", *_table(listed.round(0), 0), "", "March to October:", "", *_table(pd.DataFrame(rows), 2)]


def _spread(spread) -> list[str]:
    tower, year = np.sqrt(spread.tower), np.sqrt(spread.year)
    return [f"Towers of one kind differ in the level of FPAR by {tower[0]:.3f} (sd; {spread.towers} towers) and in the amplitude of its",
            f"cycle by {100 * tower[1]:.0f} %; years of one tower by {year[0]:.3f} and {100 * year[1]:.0f} % "
            f"({spread.tower_years} tower-years)."]  # fmt: skip


def _lines(lines: dict[str, dict[str, CalibrationLine]], draws: dict) -> list[str]:
    rows = []
    for index, of_kind in lines.items():
        for kind, line in of_kind.items():
            coefficients = {field: number for field, number in vars(line).items() if field not in ("source", "highest")}
            sds = {f"sd at {at}": line_sd(line, at) for at in (0.3, 0.5, 0.7, 0.9)}
            rows.append({"index": index, "plant type": kind, **coefficients} | sds)
    numbers = "; ".join(f"{name} {values.mean():.3f} +- {values.std():.3f}" for name, values in draws.items() if values.ndim == 1)
    return ["## Lines for a new place", "", "`all`: a plant type that was not matched.", "", *_table(pd.DataFrame(rows), 3), "",
            f"NDVI (mean +- sd): {numbers}.",
            "`middle`: logarithm of the slope of a middling plant type; `between`: its spread over plant types; `place`: over places."]


def _checks(checks: pd.DataFrame) -> list[str]:
    means = checks.groupby("left_out", sort=False).mean(numeric_only=True).reset_index()
    inside = (checks.z.abs() < 1.645).groupby(checks.left_out, sort=False).mean()
    coverage = ", ".join(f"{100 * share:.0f} % ({way})" for way, share in inside.items())
    return ["## Left out", "",
            "Mean FPAR of March to October by lines fitted without the patch, or without its plant type, beside that of its towers.",
            "`line_sd`: error of the line; `matching_sd`: error by other towers and years; `z`: the bias in sd of both;",
            f"`rmse`: of half-months in order. Inside the 90 % interval: {coverage}.",
            "", *_table(checks, 2), "", "Means:", "", *_table(means, 2)]  # fmt: skip


def _effect(effect: Effect) -> list[str]:
    seen = effect.views
    return ["## Flanders, December 2017 to November 2018", "",
            "Mean fapar of labelled fields and grassland; `light`: weighted with radiation.", "", *_table(effect.table, 3), "",
            f"The error of the line is one of {100 * effect.gpp_sd:.0f} % (sd) of the light absorbed in the year, and of GPP, nearly",
            "proportional to it.", "",
            f"Network against NDVI at {seen['number']} views of pixels: r {seen['r']:.2f}, network = {seen['slope']:.2f} NDVI",
            f"{seen['offset']:+.2f}, scatter {seen['sd']:.3f}; mean network minus line: e09 {seen['e09']:+.3f},",
            f"usual {seen['usual']:+.3f}, e02 {seen['e02']:+.3f}."]  # fmt: skip


def draw_figure(given, lines: dict[str, CalibrationLine], effect: Effect, path: Path) -> None:
    """Left: the pairs, half-months in order, and the lines; right: the year of Flanders by each."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    colours = {"CRO": "tab:orange", "GRA": "tab:green", "DBF": "tab:brown", "ENF": "tab:blue"}
    markers = "os^Dv<>PX*"
    for row, name in enumerate(given.names):
        used = given.used[row]
        left.plot(given.index[row, used], given.fpar[row, used], marker=markers[row % len(markers)], ms=4, lw=0.6, alpha=0.7,
                  color=colours[given.kinds[row]], label=f"{name} ({given.kinds[row]})")  # fmt: skip
    index = np.linspace(0.15, 1.0, 86)
    for kind in dict.fromkeys(given.kinds):
        line = lines[kind]
        left.plot(index, np.clip(line.offset + line.slope * index, 0, line.highest), color=colours[kind], lw=2.5, label=f"line of {kind}")
    sd, plain = line_sd(line, index), line.offset + line.slope * index
    left.fill_between(index, plain - 1.645 * sd, plain + 1.645 * sd, color=colours[kind], alpha=0.12, lw=0, label=f"90 % of that of {kind}")
    for (name, other), style in zip(pairs.OTHER_LINES.items(), ("k--", "k:"), strict=True):
        left.plot(index, np.clip(other.offset + other.slope * index, 0, other.highest), style, lw=1, label=name)
    left.set(xlabel="NDVI of the patch [1]", ylabel="MODIS FPAR of the towers [1]", xlim=(0.15, 1.0), ylim=(0, 1.05),
             title="half-months, March to October, in order")  # fmt: skip
    left.legend(fontsize=7)
    for name, cycle in effect.cycles.items():
        right.plot(np.arange(pairs.HALVES) / 2 + 0.75, cycle, label=name, lw=2 if name == "e09" else 1.2)
    right.set(xlabel="month", ylabel="fapar [1]", ylim=(0, 1), title="Flanders 2018, fields and grassland", xticks=range(1, 13))
    right.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
