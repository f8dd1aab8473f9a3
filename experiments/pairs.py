"""Seasonal cycles of like vegetation in two places: a Sentinel-2 patch, and the MODIS FPAR of the towers of its kind.

A cycle has 24 values: the first fifteen days of a month and the rest. For E09.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.catalog import load_catalog
from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.data.imagery import reader
from hybridflux.data.imagery.indices import bands_needed, compute
from hybridflux.data.land import reader as land_reader
from hybridflux.data.vegetation import daily, read_series
from hybridflux.ingest.config import load_config
from hybridflux.series import fill, learn
from hybridflux.vocabulary import PLANT_TYPES

HALVES = 24
NEAR = 10  # days within which a clear view counts for a day of the cycle
LEAST_SHARE, LEAST_DAYS = 0.5, 5  # of pixels so seen; of days in a half-month
FARTHEST, STEEPEST, SAME = 700.0, 450.0, 3.0  # km, m, and km within which two towers lie in one pixel
FIRST, LAST = np.datetime64("2015-01-01"), np.datetime64("2024-12-31")
OPTICAL = ("ndvi", "evi2", "nirv", "kndvi")
BROADLEAVED = ("DBF", "MF")  # CH-Lae, the one mixed forest near, is mostly beech
FOREST = 0.1  # land surface water index of a canopy in leaf; fields are drier once
OTHER_LINES = {"usual": CalibrationLine(-0.168, 1.24, highest=1.0), "e02": CalibrationLine(-0.24, 1.30)}  # of NDVI
MAIZE_BELT = 46.0  # degrees north between the two groups of parcels of 2023


@dataclass(frozen=True)
class Patch:
    """Clear views of one kind of vegetation.

    Attributes:
        name: place and kind.
        plant_type: of the model.
        towers: plant types of the towers it is matched with.
        at: latitude, longitude [degree], elevation [m].
        hectares: of its pixels or, of parcels, their number.
        day: of each view `[view]`, `datetime64[D]`.
        views: index -> `[view, pixel]`, NaN where not clear.
        near: days within which a view counts; more for composites.
    """

    name: str
    plant_type: str
    towers: tuple[str, ...]
    at: tuple[float, float, float]
    hectares: float
    day: np.ndarray
    views: dict[str, np.ndarray]
    near: int = NEAR


@dataclass(frozen=True)
class Cycle:
    """Mean seasonal cycle of a patch.

    Attributes:
        mean: `[24]`, NaN where it was not seen.
        years: of the views, how many calendar years hold a half-month, mean.
    """

    mean: np.ndarray
    years: float


def half_month(days: np.ndarray) -> np.ndarray:
    """Number of the half-month, 0 to 23."""
    index = pd.DatetimeIndex(days)
    return (2 * (index.month - 1) + (index.day > 15)).to_numpy()


def cycle(patch: Patch, index: str, pixels: int, seed: int) -> Cycle:
    """Mean cycle of an index over a patch: views filled pixel by pixel, wherever half of the pixels were seen around the day."""
    values = patch.views[index]
    values = values[:, np.isfinite(values).sum(axis=0) >= 4]
    values = values[:, np.random.default_rng(seed).permutation(values.shape[1])[:pixels]].astype(np.float32)
    when = (patch.day - patch.day[0]).astype(int)
    days = int(when[-1]) + 1
    filled = fill(values, when, days, process=learn(values, when, days))
    seen = np.zeros((days, values.shape[1]), bool)
    for one, used in zip(when, filled.used, strict=True):
        seen[max(one - patch.near, 0) : one + patch.near + 1] |= used
    every = patch.day[0] + np.arange(days)
    known = seen.mean(axis=1) >= LEAST_SHARE
    series = pd.Series(filled.mean.mean(axis=1, dtype=float), every)[known]
    grouped = series.groupby([series.index.year, half_month(series.index)])
    table = grouped.mean()[grouped.count() >= LEAST_DAYS].unstack(0).reindex(range(HALVES))
    return Cycle(table.mean(axis=1).to_numpy(), float(table.notna().sum(axis=1).replace(0, np.nan).mean()))


def patches(data: Path, places: Sequence[str] | None) -> list[Patch]:
    """The patches of some places of the sample data, or of all; `data` holds `eo/`."""
    readers = {"Flanders": flanders, "Meuse": meuse, "Bouconne": bouconne, "Slovenia": slovenia, "meadow": meadow, "parcels": parcels}
    return [patch for name, read in readers.items() if places is None or name in places for patch in read(data)]


def _scenes(dataset, place: str, geobox, names=OPTICAL, absent=()) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Days and indices `[view, y, x]` of a folder of images."""
    scenes = reader(dataset.format)(dataset, place, geobox, FIRST, LAST)
    has = [band.name for band in dataset.bands if band.name not in absent]
    bands = bands_needed(names, has)
    views = [{name: compute(name, reflectance).astype(np.float32) for name in names}
             for reflectance in (scene.read(geobox, bands) for scene in scenes)]  # fmt: skip
    return np.array([scene.day for scene in scenes]), {name: np.stack([view[name] for view in views]) for name in names}


def region(name: str, data: Path):
    """Dataset and place of the images of a region, its geobox and plant types `[y, x]`."""
    catalog, config = load_catalog(), load_config(name).at(data)
    source, cover, geobox = config.imagery[0], config.landcover[0], config.region_grid.geobox
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what carries no label is known
        land = land_reader(catalog[cover.dataset].format)(catalog[cover.dataset], cover.place, geobox)
    return catalog[source.dataset], source.place, geobox, land.plant_type


def flanders(data: Path) -> list[Patch]:
    """Crops with all that stands between them, as a pixel of 1 km at a crop tower has it; and grassland alone."""
    dataset, place, geobox, cover = region("flanders-demo", data)
    day, views = _scenes(dataset, place, geobox)
    at = (50.82, 3.02, 20.0)
    grass = cover == PLANT_TYPES.index("GRA")
    return [_cut("Flanders crop landscape", "CRO", ("CRO",), at, day, views, np.ones(cover.shape, bool)),
            _cut("Flanders grassland", "GRA", ("GRA",), at, day, views, grass)]  # fmt: skip


def meuse(data: Path) -> list[Patch]:
    """Conifers before the felling of winter 2018-19, and broadleaves."""
    dataset, place, geobox, cover = region("meuse-forest", data)
    day, views = _scenes(dataset, place, geobox, absent=("B08",))
    before = day < np.datetime64("2018-11-01")
    at = (49.28, 5.35, 250.0)
    early = {name: values[before] for name, values in views.items()}
    return [_cut("Meuse conifers", "ENF", ("ENF",), at, day[before], early, cover == PLANT_TYPES.index("ENF")),
            _cut("Meuse broadleaves", "DBF", BROADLEAVED, at, day, views, cover == PLANT_TYPES.index("DBF"))]  # fmt: skip


def bouconne(data: Path) -> list[Patch]:
    """The oak forest, all that is dark in short-wave infrared from April to November; monthly composites of 2018."""
    import rasterio
    from odc.geo.geobox import GeoBox

    path = data / "eo" / "bouconne_theia_l3a" / "2018_3A_Theia_Bouconne.tif"
    dates = "2018-04-29,2018-05-13,2018-07-08,2018-08-15,2018-09-15,2018-10-15,2018-11-15"
    with rasterio.open(path) as file:
        geobox = GeoBox((file.height, file.width), file.transform, file.crs)
    day, views = _scenes(load_catalog()["theia-l3a-stack"], f"{path}#{dates}", geobox, (*OPTICAL, "lswi"))
    forest = (views.pop("lswi") > FOREST).all(axis=0)
    return [_cut("Bouconne oak forest", "DBF", BROADLEAVED, (43.65, 1.23, 200.0), day, views, forest, near=15)]


def slovenia(data: Path) -> list[Patch]:
    """Forest (class 2 of the labels of eo-learn) and grassland (3); NDVI alone, by its size that of the top of the atmosphere."""
    with np.load(data / "eo" / "gapfill" / "slovenia_ndvi_cloud_2015_2017.npz") as file:
        day, ndvi, cover = file["time"].astype("datetime64[D]"), file["ndvi"] * np.float32(1e-4), file["lulc"]
        unclear = (file["cloud_mask"] == 1) | (file["is_valid"] == 0) | (ndvi < -1)
        height = float(np.median(file["dem"]))
    ndvi = np.where(unclear, np.nan, ndvi)
    views = {"ndvi": ndvi, "kndvi": np.tanh(ndvi**2)}
    at = (45.87, 14.55, height)
    return [_cut("Slovenia forest", "DBF", BROADLEAVED, at, day, views, cover == 2),
            _cut("Slovenia grassland", "GRA", ("GRA",), at, day, views, cover == 3)]  # fmt: skip


def meadow(data: Path) -> list[Patch]:
    """A mown meadow of 2021 and its surroundings; the cube has its own names of axes but the bands of the catalog."""
    from odc.geo.geobox import GeoBox

    place = data / "eo" / "gapfill" / "slovenia_meadow_s2_2021.nc"
    geobox = GeoBox.from_bbox((513920, 5072780, 514400, 5073220), "EPSG:32633", resolution=10)
    day, views = _scenes(load_catalog()["sentinel-2-l2a-cube"], str(place), geobox)
    return [_cut("Slovenia meadow", "GRA", ("GRA",), (45.81, 15.18, 200.0), day, views, np.ones(geobox.shape, bool))]


def parcels(data: Path) -> list[Patch]:
    """Declared parcels of 2022-23 in Perche and Bearn, one point each, composites of ten days: arable (11...) and grassland (20...)."""
    table = pd.read_parquet(data / "eo" / "rpg_points" / "2023_FRA_LPIS_POLY_110_dekad.geoparquet")
    kind = table.ewoc_code.astype(str).str[:2].map({"11": "CRO", "20": "GRA"})
    place = np.where(table.lat > MAIZE_BELT, "Perche", "Bearn")
    found = []
    for (where, what), part in table.groupby([place, kind]):
        bands = {band: part.pivot(index="timestamp", columns="sample_id", values=f"S2-L2A-{band}").astype(float) for band in ("B04", "B08")}
        bands = {band: stored.where(stored != 65535) * 1e-4 for band, stored in bands.items()}
        day = bands["B04"].index.to_numpy().astype("datetime64[D]") + 4
        views = {name: compute(name, {band: stored.to_numpy() for band, stored in bands.items()}) for name in OPTICAL}
        name = f"{where} {'arable parcels' if what == 'CRO' else 'grassland parcels'}"
        at = (float(part.lat.mean()), float(part.lon.mean()), float(part.elevation.median()))
        found.append(Patch(name, what, (what,), at, views["ndvi"].shape[1], day, views, near=15))
    return found


def _cut(name, plant_type, towers, at, day, views, mask, near=NEAR) -> Patch:
    cut = {index: values[:, mask] for index, values in views.items()}
    return Patch(name, plant_type, towers, at, mask.sum() * 0.01, day, cut, near)


@dataclass(frozen=True)
class Tower:
    """Cleaned MODIS FPAR of a tower, as its posterior was fitted with.

    Attributes:
        site: its code.
        plant_type: of the model.
        by_year: FPAR `[year, 24]`, NaN where missing.
    """

    site: str
    plant_type: str
    by_year: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean cycle `[24]`."""
        return np.nanmean(self.by_year, axis=0)


@cache
def _series(towers: Path) -> dict[str, pd.Series]:
    return read_series(towers / "satellite" / "modis_fpar_c5_8day.csv.gz")


def tower(towers: Path, site: str, plant_type: str) -> Tower:
    """The cycles of a tower in all complete years."""
    series = daily(_series(towers)[site], evergreen=plant_type in ("ENF", "EBF"))
    table = series.groupby([series.index.year, half_month(series.index)]).mean().unstack().reindex(columns=range(HALVES))
    return Tower(site, plant_type, table[table.notna().all(axis=1)].to_numpy())


def matched(patch: Patch, towers: Path) -> tuple[list[Tower], pd.DataFrame]:
    """Towers of the kind of a patch, near and of like height, one a pixel of MODIS; and their distances [km] and heights [m]."""
    table = pd.read_csv(towers / "sites.csv").set_index("site_id")
    table = table[table.index.isin(list(_series(towers))) & table.igbp.isin(patch.towers)]
    table = table.assign(km=kilometres(*patch.at[:2], table.lat, table.lon), above=table.elev - patch.at[2])
    table = table[(table.km <= FARTHEST) & (table.above.abs() <= STEEPEST)].sort_values("km")
    kept: list[str] = []
    for site in table.index:
        here = table.loc[site]
        if all(kilometres(here.lat, here.lon, table.lat[other], table.lon[other]) > SAME for other in kept):
            kept.append(site)
    table = table.loc[kept]
    return [tower(towers, site, table.igbp[site]) for site in kept], table[["km", "above", "igbp"]]


def kilometres(lat: float, lon: float, lat2, lon2):
    """Distance of two points of the globe [km], by the haversine formula."""
    lat, lon, lat2, lon2 = (np.radians(angle) for angle in (lat, lon, lat2, lon2))
    half = np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(half))
