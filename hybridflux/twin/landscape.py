"""A synthetic landscape like the plateau near Saclay: parcels, their land cover, communes and soil, on a 10 m grid in Lambert-93.

Forest and farmland form blocks, as they do on the plateau: the cover of a parcel is the rank of a smooth random field at its centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import ndtr

from hybridflux.vocabulary import PLANT_TYPES

CRS = "EPSG:2154"
PIXEL = 10.0  # m
WEST, NORTH = 638_000.0, 6_851_000.0  # outer corner of the region, close to Saclay (48.74 N, 2.16 E)
PARCEL = 21  # typical width of a parcel, pixels
SOIL_RANGE = 110.0, 290.0  # mm of plant-available water in the root zone of a field
FOREST_ROOTS = 130.0  # mm of plant-available water that trees reach below that
COMMUNES = ("Les Essarts", "La Noue", "Val-Joyeux", "Bois-le-Comte", "Grand-Champ")
SHARES = {"WAT": 0.02, "URB": 0.08, "DBF": 0.20, "ENF": 0.08, "GRA": 0.18}
"""Share of the parcels per plant type; the rest is cropland."""
AFTER = {"wheat": "rapeseed", "rapeseed": "wheat", "maize": "wheat"}
"""Next crop of the rotation; half of the wheat is followed by maize instead."""
_BEFORE = {"wheat": ("rapeseed", "maize"), "rapeseed": ("wheat",), "maize": ("wheat",)}


@dataclass(frozen=True)
class Landscape:
    """Parcels, their land cover, communes and soil.

    Attributes:
        parcel: index of the parcel of a pixel `[y, x]`, y from north to south.
        cover: plant type code of each parcel `[parcel]`.
        crops: crops of each parcel harvested one year before, in, and one year after the last mapped year; "" where none is `[parcel, 3]`.
        commune: number of the commune of each parcel, from 1 `[parcel]`.
        soil_capacity: plant-available water of the root zone [mm] `[y, x]`.
    """

    parcel: np.ndarray
    cover: np.ndarray
    crops: np.ndarray
    commune: np.ndarray
    soil_capacity: np.ndarray

    @property
    def plant_type(self) -> np.ndarray:
        """Index into PLANT_TYPES `[y, x]`, uint8."""
        return np.array([PLANT_TYPES.index(code) for code in self.cover], np.uint8)[self.parcel]

    @property
    def zone(self) -> np.ndarray:
        """Number of the commune `[y, x]`, int32."""
        return self.commune.astype(np.int32)[self.parcel]

    @property
    def zone_names(self) -> dict[int, str]:
        """Number -> name of the communes."""
        return {int(number): COMMUNES[number - 1] for number in np.unique(self.commune)}

    @property
    def parcel_soil(self) -> np.ndarray:
        """Mean soil capacity [mm] `[parcel]`."""
        return np.bincount(self.parcel.ravel(), self.soil_capacity.ravel()) / np.bincount(self.parcel.ravel())


def centres(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Eastings (ascending) and northings (descending) of the pixel centres [m]."""
    steps = PIXEL * (np.arange(size) + 0.5)
    return WEST + steps, NORTH - steps


def smooth_field(rng: np.random.Generator, size: int, width: float) -> np.ndarray:
    """Random field of zero mean and unit variance, smooth over `width` pixels `[y, x]`."""
    field = gaussian_filter(rng.standard_normal((size, size)), width, mode="reflect")
    return ((field - field.mean()) / field.std()).astype(np.float32)


def make_landscape(size: int, rng: np.random.Generator) -> Landscape:
    """The landscape of a square region.

    Args:
        size: pixels along one side, at least 16.
        rng: source of random numbers.

    Raises:
        ValueError: the region is too small for parcels.
    """
    if size < 16:
        raise ValueError(f"a region of {size} pixels has no room for parcels; take 16 or more")
    parcel, middles = _parcels(size, rng)
    cover = _covers(middles / size, smooth_field(rng, size, size / 6), middles, rng)
    low, high = SOIL_RANGE
    soil = low + (high - low) * ndtr(0.8 * smooth_field(rng, size, size / 10) + 0.45 * smooth_field(rng, size, 3))
    soil += FOREST_ROOTS * np.isin(cover, ("DBF", "ENF"))[parcel]
    return Landscape(parcel, cover, _rotation(cover, rng), _communes(middles / size, rng), soil.astype(np.float32))


def _parcels(size, rng):
    """Parcels with straight edges, turned against the grid: the nearest seed by the larger distance; middles `[parcel, (y, x)]`."""
    step = min(PARCEL, size / 4)
    turn = np.radians(24.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    grid = np.stack(np.meshgrid(*2 * [np.arange(-size, 2 * size, step)], indexing="ij"), -1).reshape(-1, 2)
    seeds = (grid + rng.uniform(-0.42, 0.42, grid.shape) * step) @ rotation.T * [1.25, 0.8]
    pixels = np.stack(np.meshgrid(*2 * [np.arange(size) + 0.5], indexing="ij"), -1).reshape(-1, 2)
    turned = np.array([0.8, 1.25])  # undo the stretch before distances are compared: parcels are longer than wide
    _, nearest = cKDTree((seeds * turned) @ rotation).query((pixels * turned) @ rotation, p=np.inf)
    _, parcel = np.unique(nearest, return_inverse=True)
    count = np.bincount(parcel)
    middles = np.stack([np.bincount(parcel, pixels[:, axis]) / count for axis in (0, 1)], -1)
    return parcel.reshape(size, size).astype(np.int32), middles


def _covers(where, wooded, middles, rng):
    """Plant type of each parcel: a town round one point, forest where `wooded` is high, grass at its edge, crops on the rest."""
    number = len(where)
    cover = np.full(number, "CRO", dtype="<U3")
    free = np.ones(number, bool)

    def take(code, score, most=SHARES):
        chosen = np.argsort(np.where(free, score, -np.inf))[::-1][: max(1, round(most[code] * number))]
        cover[chosen], free[chosen] = code, False

    height = wooded[tuple(middles.astype(int).T)]
    town = where[np.argmin(height + 0.3 * rng.standard_normal(number))]
    take("URB", -np.hypot(*(where - town).T))
    conifers = where[np.argmax(np.where(free, height, -np.inf))]
    take("ENF", height - 5 * np.hypot(*(where - conifers).T))
    take("DBF", height + 0.15 * rng.standard_normal(number))
    take("GRA", height + 0.9 * rng.standard_normal(number))
    take("WAT", rng.standard_normal(number))
    return cover


def _rotation(cover, rng):
    """Crops of three years on each parcel, "" on other covers."""
    crops = np.full((len(cover), 3), "", dtype="<U8")
    fields = np.flatnonzero(cover == "CRO")
    now = rng.permutation(np.resize(np.array(["wheat", "maize", "wheat", "rapeseed"]), len(fields)))
    for field, crop in zip(fields, now, strict=True):
        before = rng.choice([earlier for earlier, later in AFTER.items() if later == crop] or ["wheat"])
        after = "maize" if crop == "wheat" and rng.random() < 0.5 else AFTER[crop]
        crops[field] = before, crop, after
    return crops


def with_earlier_crops(crops: np.ndarray, years: int, rng: np.random.Generator) -> np.ndarray:
    """Crops with those of some years before the first column `[parcel, year]`.

    Args:
        crops: `[parcel, year]`, "" where none is.
        years: to add.
        rng: source of random numbers.
    """
    for _ in range(years):
        before = [rng.choice(_BEFORE[crop]) if crop else "" for crop in crops[:, 0].tolist()]
        crops = np.column_stack([np.array(before, crops.dtype), crops])
    return crops


def _communes(where, rng):
    """Communes as neighbourhoods of parcels."""
    number = min(len(COMMUNES), max(1, len(where) // 6))
    seats = where[rng.choice(len(where), number, replace=False)]
    for _ in range(4):  # Lloyd's steps even out their sizes
        mine = cKDTree(seats).query(where)[1]
        seats = np.array([where[mine == i].mean(axis=0) if (mine == i).any() else seats[i] for i in range(number)])
    return np.unique(mine, return_inverse=True)[1] + 1
