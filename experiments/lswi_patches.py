"""LSWI of the mapped patches at 10 m beside that of towers at 1 km: all that there is on LSWI of Sentinel-2 against MODIS.

No tower has both: Sentinel-2 of the towers comes without shortwave infrared, and no patch of `eo/` lies at a tower of MODIS. So patches
are compared with towers of the same plant type elsewhere, seasons of the same years: what remains between them holds the instruments, the
scale and the places, and towers of one type differ among themselves by `sd`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.catalog import load_catalog
from hybridflux.data.points import read_points
from hybridflux.data.reflectance import SMOOTHER, daily
from hybridflux.data.site_table import read_sites
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.store import layout
from hybridflux.vocabulary import PLANT_TYPES

DATASET = "modis-1km-points"
LEAST_PIXELS, LEAST_TOWERS, LEAST_DAYS = 100, 3, 15
NORTH = (43.0, 56.0)
SEASONS = {"April to June": (4, 5, 6), "July to September": (7, 8, 9)}


def lswi_of_patches(towers: Path, regions: Iterable[Path]) -> pd.DataFrame:
    """Mean LSWI of a patch and of towers of its plant type by season and year; `sd` between towers, `z` the difference in units of it."""
    table = read_sites(towers).rows
    table = table[table.lat.between(*NORTH)]
    views = read_points(towers / "reflectance" / "modis_1km.csv.gz", load_catalog()[DATASET], ("lswi",), list(table.index))["lswi"]
    seen = {site: of["lswi"] for site, of in daily(views, SMOOTHER["lswi"], "lswi").items()}
    rows = []
    for path in regions:
        region = open_region(path)
        kinds, days = region.group["plant_type"][:], pd.DatetimeIndex(region.days)
        stored = region.group["lswi"][:]
        for code in np.unique(kinds[kinds != layout.OUTSIDE]):
            inside = (kinds == code) & (stored != layout.NODATA).all(axis=0)
            kind = PLANT_TYPES[code]
            alike = {site: series for site, series in seen.items() if table.igbp[site] == kind}
            if inside.sum() < LEAST_PIXELS or len(alike) < LEAST_TOWERS:
                continue
            course = pd.Series(unpacked(stored[:, inside]).mean(axis=1), days)[region.warm_up :]
            for (year, season), patch in by_season(course).items():
                at_towers = [found for series in alike.values() if (found := by_season(series).get((year, season))) is not None]
                if len(at_towers) >= LEAST_TOWERS:
                    mean, sd = np.mean(at_towers), np.std(at_towers, ddof=1)
                    rows.append({"patch": region.path.stem, "plant_type": kind, "year": year, "season": season, "patch_10m": patch,
                                 "towers_1km": mean, "sd": sd, "towers": len(at_towers), "z": (patch - mean) / sd})  # fmt: skip
    return pd.DataFrame(rows)


def by_season(series: pd.Series) -> dict[tuple[int, str], float]:
    """(year, season) -> mean, where enough days are known."""
    found = {}
    for season, months in SEASONS.items():
        part = series[series.index.month.isin(months)].dropna()
        for year, of in part.groupby(part.index.year):
            if len(of) >= LEAST_DAYS * len(months):
                found[int(year), season] = float(of.mean())
    return found


def error_of_offset(patches: pd.DataFrame) -> tuple[float, float]:
    """Mean and root mean square of what patches and plant types differ by from the towers: LSWI stays, with the latter as its error [1]."""
    of_patch = (patches.patch_10m - patches.towers_1km).groupby([patches.patch, patches.plant_type]).mean()
    return float(of_patch.mean()), float(np.sqrt((of_patch**2).mean()))


def page(patches: pd.DataFrame) -> list[str]:
    """As Markdown."""
    mean, rms = error_of_offset(patches)
    lines = ["## LSWI of patches at 10 m, and of towers of their plant type at 1 km", ""]
    lines += ["| patch | plant type | year | season | Sentinel-2, 10 m | MODIS, 1 km | sd of towers | towers | z |", "|" + "---|" * 9]
    for row in patches.itertuples():
        lines.append(
            f"| {row.patch} | {row.plant_type} | {row.year} | {row.season} | {row.patch_10m:.3f} | {row.towers_1km:.3f} | {row.sd:.3f} "
            f"| {row.towers} | {row.z:+.1f} |"
        )
    return [*lines, "", f"Difference of the patches: mean {mean:+.3f}, root mean square {rms:.3f}.", ""]
