"""Vegetation indices of surface reflectance: one table, each formula with its paper and the bands it needs.

Reflectance between `LOWEST` and zero is noise of a dark surface and taken as zero; below `LOWEST` the atmosphere was corrected wrongly and
the pixel has no index, nor above `HIGHEST`. A normalised difference with a band near zero is near one, whatever the canopy: early MAJA
products cut red at zero, and a stand seen so in April looked as green as in June. Such a view has no ratio. Where two bands together
reflect less than `LEAST_SUM` (water, deep shade) their ratio is noise and there is none either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hybridflux.data.imagery.fapar import ANGLES, BANDS, LARGEST, fapar

LOWEST = -0.02
"""Reflectance [1] below which a value is an error and not noise: four times the 0.005 that the surface reflectance of a dark band may be
off (specification of level 2A: 0.05 rho + 0.005, L2A Data Quality Report of ESA)."""
HIGHEST = 3.2767
"""Reflectance [1] above which a value is no measurement: products store 15 bits, and 65535 for saturated pixels (Sentinel-2 Products
Specification Document); an exporter that takes the offset out of 16 bits without sign turns small negatives into such numbers."""
LEAST_SUM = 0.02
"""Least sum of the two bands of a ratio [1]: there, an error of 0.005 in each is an error of 0.35 in their normalised difference."""
LEAST_BAND = 0.005
"""Least reflectance of each band of a ratio [1]: what the surface reflectance of a dark band may be off."""
NOTHING = 1.5e-4
"""Near infrared reflectance [1] up to which a pixel shows no land and has no index: 0, which some products store for no data, and 1 of
10000, which stands for zero and less where 0 is no data (github.com/Element84/earth-search issue 23)."""
SUBSTITUTES = {"B08": "B8A"}
"""A band and the one that may stand for it in a whole series: near infrared, 842 nm at 10 m and 865 nm at 20 m. Not within one series: B8A
is a little brighter."""


@dataclass(frozen=True)
class Index:
    """A vegetation index.

    Attributes:
        formula: of the bands, in the order of `bands`, each `[...]` reflectance [1], not negative.
        bands: names of Sentinel-2 bands, and of angles [degree] for `fapar`.
        long_name: for plots and files.
        source: paper.
        doi: of the paper; None where it has none.
        bounds: least and greatest value a formula gives for reflectance in 0 to 1.
    """

    formula: Callable[..., np.ndarray]
    bands: tuple[str, ...]
    long_name: str
    source: str
    doi: str | None
    bounds: tuple[float, float]


def _share(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = a + b
    return (a - b) / np.where((total >= LEAST_SUM) & (np.minimum(a, b) >= LEAST_BAND), total, np.nan)


def _evi2(nir: np.ndarray, red: np.ndarray) -> np.ndarray:
    return 2.5 * (nir - red) / np.where(nir > NOTHING, nir + 2.4 * red + 1.0, np.nan)


INDICES: dict[str, Index] = {
    "ndvi": Index(
        _share,
        ("B08", "B04"),
        "normalised difference vegetation index",
        "Tucker 1979, Remote Sensing of Environment 8, 127-150",
        "10.1016/0034-4257(79)90013-0",
        (-1.0, 1.0),
    ),
    "evi2": Index(
        _evi2,
        ("B08", "B04"),
        "two-band enhanced vegetation index",
        "Jiang et al. 2008, Remote Sensing of Environment 112, 3833-3845",
        "10.1016/j.rse.2008.06.006",
        (-2.5 / 3.4, 1.25),
    ),
    "nirv": Index(
        lambda nir, red: _share(nir, red) * nir,
        ("B08", "B04"),
        "near-infrared reflectance of vegetation",
        "Badgley et al. 2017, Science Advances 3, e1602244",
        "10.1126/sciadv.1602244",
        (-0.1716, 1.0),
    ),
    "kndvi": Index(
        lambda nir, red: np.tanh(_share(nir, red) ** 2),
        ("B08", "B04"),
        "kernel NDVI, length scale (NIR + red) / 2",
        "Camps-Valls et al. 2021, Science Advances 7, eabc7447",
        "10.1126/sciadv.abc7447",
        (0.0, float(np.tanh(1.0))),
    ),
    "lswi": Index(
        _share,
        ("B08", "B11"),
        "land surface water index",
        "Xiao et al. 2004, Remote Sensing of Environment 89, 519-534",
        "10.1016/j.rse.2003.11.008",
        (-1.0, 1.0),
    ),
    "ndre": Index(
        _share,
        ("B07", "B05"),
        "normalised difference red-edge index",
        "Gitelson and Merzlyak 1994, Journal of Photochemistry and Photobiology B 22, 247-252",
        "10.1016/1011-1344(93)06963-4",
        (-1.0, 1.0),
    ),
    "cci": Index(
        _share,
        ("G531", "B04"),
        "chlorophyll/carotenoid index, 531 nm and red",
        "Gamon et al. 2016, PNAS 113, 13087-13092",
        "10.1073/pnas.1606162113",
        (-1.0, 1.0),
    ),
    "fapar": Index(
        lambda *inputs: fapar(dict(zip((*BANDS, *ANGLES), inputs, strict=True))),
        (*BANDS, *ANGLES),
        "fAPAR of green canopy, network of the Sentinel-2 Toolbox",
        "Weiss and Baret 2016, S2ToolBox Level 2 products: LAI, FAPAR, FCOVER, version 1.1, ESA; see `fapar`",
        None,
        (0.0, LARGEST),
    ),
}
"""Name -> index."""


def bands_needed(names: Iterable[str], offered: Collection[str]) -> tuple[str, ...]:
    """The bands to read for some indices, each once, a substitute where a band is not offered.

    Args:
        names: keys of `INDICES`.
        offered: bands that every scene of the series has, so that one series never mixes a band and its substitute.

    Raises:
        ValueError: an unknown index, or a band that is not offered and has no substitute.

    >>> bands_needed(["ndvi", "lswi"], ["B04", "B8A", "B11"])
    ('B8A', 'B04', 'B11')
    """
    return tuple(dict.fromkeys(band for name in names for band in _inputs(name, offered)))


def compute(name: str, reflectance: Mapping[str, np.ndarray]) -> np.ndarray:
    """An index `[...]` of reflectance [1], NaN where a band is missing or out of range; see the rules of the module.

    Args:
        name: key of `INDICES`.
        reflectance: band name -> `[...]`.

    Raises:
        ValueError: unknown index or missing band.

    >>> compute("ndvi", {"B08": np.array([0.4, 0.4, 0.4]), "B04": np.array([0.1, -0.01, -0.03])})
    array([0.6, nan, nan])
    """
    inputs = _inputs(name, reflectance)
    return INDICES[name].formula(*(reflectance[band] if band in ANGLES else _usable(reflectance[band]) for band in inputs))


def negatives(reflectance: Mapping[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    """How many pixels of each band are taken as zero, and how many are dropped as wrong: for a count over many scenes."""
    return {
        band: (int(np.count_nonzero((LOWEST <= values) & (values < 0))), int(np.count_nonzero(values < LOWEST)))
        for band, values in reflectance.items()
    }


def _usable(values: np.ndarray) -> np.ndarray:
    return np.where((values < LOWEST) | (values > HIGHEST), np.nan, np.maximum(values, 0.0))


def _inputs(name: str, offered: Collection[str]) -> tuple[str, ...]:
    if name not in INDICES:
        raise ValueError(f"no vegetation index `{name}`; there are {', '.join(INDICES)}")
    bands = tuple(band if band in offered else SUBSTITUTES.get(band, band) for band in INDICES[name].bands)
    missing = [band for band in bands if band not in offered]
    if missing:
        raise ValueError(f"{name} needs {' and '.join(INDICES[name].bands)}; the images have {', '.join(offered) or 'none'}")
    return bands
