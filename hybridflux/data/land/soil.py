"""Plant-available water capacity of the root zone [mm]: from soil texture, from mapped water contents, or a declared constant."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.addresses import redacted
from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.services import SERVICE, SLICES, soil_address
from hybridflux.data.land.soil_units import judge_profile, judge_sand, median, texture_off, water_off
from hybridflux.data.land.warp import covered, metres, numbers
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

ROOTING_DEPTH = 1000.0
"""Default rooting depth [mm]. By 1 - beta^d of Jackson et al. 1996, 10.1007/BF00333714, it holds 91 % (coniferous forest, beta
0.976) to 98 % (crops, beta 0.961) of the roots. Water tables and rock move it from place to place: Fan et al. 2017,
10.1073/pnas.1712381114."""
CARBON_OF_ORGANIC_MATTER = 0.58  # van Bemmelen factor
RICHEST, FINEST = 8.0, 0.60  # organic matter [%] and clay [1] beyond which Saxton & Rawls excluded samples
TEXTURE, WATER, STONES = ("sand", "clay", "soc"), ("wv0033", "wv1500"), "cfvo"
NO_SOIL = 0.0
"""Undeclared missing value of the coverage service; no soil has it in any band but stones, which may be absent."""
REACH = 25_000.0
"""Largest distance from which a pixel on land may take its soil [m]: a park in the largest towns of Europe, which SoilGrids omits, is
this far from the fields around."""
RIM = 500.0
"""Largest such distance beyond the extent of the files [m]: two pixels of 250 m, which a cut-out may lack at its rim."""
SOILLESS = [OUTSIDE, *(PLANT_TYPES.index(name) for name in ("WAT", "URB"))]
"""Plant types of pixels that may lie any distance from a soil value."""
_ENDINGS = (".tif", ".tiff")


@dataclass(frozen=True)
class SoilCapacity:
    """Plant-available water capacity.

    Attributes:
        values: `[y, x]` float32, mm, no gaps, within the bounds of the vocabulary.
        origin: files, method, rooting depth, shares filled and clipped; JSON-ready.
    """

    values: np.ndarray
    origin: dict = field(default_factory=dict)


@dataclass(frozen=True)
class ConstantCapacity:
    """One capacity for a whole region without a soil map.

    Attributes:
        capacity: capacity [mm]; 150 is the centre of the vocabulary's variable.
    """

    capacity: float = VARIABLES["soil_capacity"].centre

    def on(self, geobox: GeoBox) -> SoilCapacity:
        """The capacity on a grid; the origin records that it is not measured."""
        values = np.full(geobox.shape, self.capacity, np.float32)
        method = f"constant {self.capacity:g} mm, not a soil map: drought differs by weather and vegetation only"
        return SoilCapacity(values, {"method": method})


def capacity(
    dataset: Dataset, place: str | Path, geobox: GeoBox, *, depth: float = ROOTING_DEPTH, cover: np.ndarray | None = None
) -> SoilCapacity:
    """Plant-available water capacity of a grid from soil layers: mapped water contents where they exist, else texture.

    capacity = sum over layers of (field capacity - wilting point) * (1 - coarse fragments) * thickness within the rooting depth.

    The units are checked (`soil_units`), with the layers of silt if they exist. Single pixels whose texture does not sum to 1000 g kg-1
    are missing. Missing pixels take the nearest value within `REACH`, which is reported.

    Args:
        dataset: entry of the catalog whose bands give the scales: `sand clay soc`, or `wv0033 wv1500`; and `cfvo`.
        place: folder, or address of one, with `<band>_<top>-<bottom>cm_mean.tif`, flat or in a folder per band; or `service`
            for the coverage service of SoilGrids (texture).
        geobox: the grid.
        depth: rooting depth [mm].
        cover: plant types of the grid `[y, x]`: water, towns and pixels without a type need no soil value of their own; without `cover` all
            pixels do.

    Raises:
        FileNotFoundError: layers are missing; all are named.
        ValueError: a damaged file, no value on the grid, other units, land beyond the files or too far from any value, or a rooting depth
            that the layers do not reach.
    """
    if not 0 < depth <= 10 * SLICES[-1][1]:
        raise ValueError(f"a rooting depth of {depth:g} mm is not within the layers, 0 to {10 * SLICES[-1][1]} mm")
    needed = [part for part in SLICES if 10 * part[0] < depth]
    names, files = _asked(needed, geobox) if str(place) == SERVICE else _files(str(place), needed)
    bands = {band.name: band for band in dataset.bands}
    if lacking := sorted(set(names) - set(bands)):
        raise ValueError(f"{dataset.kind}/{dataset.id}.toml has no band {', '.join(lacking)}; declare its units and scale there")
    total, beyond, off = np.zeros(geobox.shape), np.zeros(geobox.shape, bool), np.zeros(geobox.shape, bool)
    profiles: dict[str, dict[int, float]] = {name: {} for name in names}
    for top, bottom in needed:
        of_layer = {name: file for (name, at), file in files.items() if at == top}
        layer = {name: _values(file, geobox, bands[name]) for name, file in of_layer.items()}
        off |= water_off(layer, of_layer) if "wv0033" in layer else texture_off(layer, of_layer)
        for name in names:
            profiles[name][top] = float(np.nanmax(layer[name], initial=0.0)) if name == STONES else median(layer[name])
        water, outside = _available(layer)
        total += water * (1.0 - np.clip(layer[STONES], 0.0, 1.0)) * (min(10.0 * bottom, depth) - 10.0 * top)
        beyond |= outside
    for name, profile in profiles.items():
        judge_profile(profile, name, {top: files[name, top] for top in profile}, of_provider=str(place) == SERVICE)
    if "sand" in profiles and ("silt", 0) not in files and str(place) != SERVICE:
        judge_sand(profiles["sand"], profiles["clay"], files["sand", 0])
    total[off] = np.nan
    values, gaps = _without_gaps(total, str(place), files, geobox, cover, int(off.sum()))
    low, high = VARIABLES["soil_capacity"].bounds
    origin = {
        "dataset": dataset.id, "files": sorted(files.values()), "rooting_depth_mm": depth,
        "method": "mapped water contents at 33 and 1500 kPa" if "wv0033" in names else "Saxton & Rawls 2006, 10.2136/sssaj2005.0117",
        **gaps, "outside_the_calibration": round(float(beyond.mean()), 6),
    }  # fmt: skip
    return SoilCapacity(np.clip(values, low, high).astype(np.float32), origin)


def _values(file: str, geobox: GeoBox, band: Band) -> np.ndarray:
    """A layer `[y, x]` in the units of the catalog, NaN where missing."""
    return numbers([file], geobox, _missing(band), possible=band.range) * band.scale


def field_capacity(sand, clay, organic_matter):
    """Volumetric water content at 33 kPa [m3 m-3], Saxton & Rawls 2006, 10.2136/sssaj2005.0117, equation 2.

    Args:
        sand: share of the mass of fine earth [1].
        clay: share of the mass of fine earth [1].
        organic_matter: per cent of the mass [%].
    """
    first = (
        -0.251 * sand + 0.195 * clay + 0.011 * organic_matter
        + 0.006 * sand * organic_matter - 0.027 * clay * organic_matter + 0.452 * sand * clay + 0.299
    )  # fmt: skip
    return first + (1.283 * first**2 - 0.374 * first - 0.015)


def wilting_point(sand, clay, organic_matter):
    """Volumetric water content at 1500 kPa [m3 m-3], Saxton & Rawls 2006, equation 1.

    Args:
        sand: share of the mass of fine earth [1].
        clay: share of the mass of fine earth [1].
        organic_matter: per cent of the mass [%].
    """
    first = (
        -0.024 * sand + 0.487 * clay + 0.006 * organic_matter
        + 0.005 * sand * organic_matter - 0.013 * clay * organic_matter + 0.068 * sand * clay + 0.031
    )  # fmt: skip
    return first + (0.14 * first - 0.02)


def _available(layer: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Available water of fine earth [m3 m-3], NaN where unknown, and where the texture lies outside the calibration."""
    if "wv0033" in layer:
        wet, dry = (layer[name] for name in WATER)
        return np.maximum(wet - dry, 0.0), np.zeros(wet.shape, bool)
    sand, clay, organic = layer["sand"], layer["clay"], 100.0 * layer["soc"] / CARBON_OF_ORGANIC_MATTER
    beyond = (organic > RICHEST) | (clay > FINEST)
    clay, organic = np.minimum(clay, FINEST), np.minimum(organic, RICHEST)
    return np.maximum(field_capacity(sand, clay, organic) - wilting_point(sand, clay, organic), 0.0), beyond


def _missing(band: Band) -> tuple[float, ...]:
    """Stored numbers of a band that mean missing."""
    declared = () if band.nodata is None else (band.nodata,)
    return declared if band.name == STONES else (*declared, NO_SOIL)


def _files(place: str, needed: list[tuple[int, int]]) -> tuple[tuple[str, ...], dict[tuple[str, int], str]]:
    """The bands that can be used, and the file of each band and layer."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for names in ((*WATER, STONES), (*TEXTURE, STONES)):
        files = {(name, top): _file(place, name, f"{name}_{top}-{bottom}cm_mean") for name in names for top, bottom in needed}
        missing = [f"{name}_{top}-{bottom}cm_mean" for top, bottom in needed for name in names if files[name, top] is None]
        if not missing:
            return names, files | (_silt(place, needed) if "sand" in names else {})
        lacking[names] = missing
    nearest = min(lacking.values(), key=len)
    raise FileNotFoundError(
        f"{place} lacks {', '.join(nearest)} (.tif; a .vrt only describes other files: `gdal_translate` it); "
        f"texture needs {', '.join((*TEXTURE, STONES))} of every layer, "
        f"water contents need {', '.join((*WATER, STONES))}; or take a constant capacity"
    )


def _silt(place: str, needed: list[tuple[int, int]]) -> dict[tuple[str, int], str]:
    """The layers of silt in a folder beside the others, which only serve the check of the sum."""
    if place.startswith("/vsi") or "://" in place:
        return {}
    files = {("silt", top): _file(place, "silt", f"silt_{top}-{bottom}cm_mean") for top, bottom in needed}
    return {key: file for key, file in files.items() if file is not None}


def _asked(needed: list[tuple[int, int]], geobox: GeoBox) -> tuple[tuple[str, ...], dict[tuple[str, int], str]]:
    """The bands of texture, and the address of each band and layer of the service."""
    names = (*TEXTURE, STONES)
    return names, {(name, top): soil_address(name, top, bottom, geobox) for name in names for top, bottom in needed}


def _file(place: str, band: str, layer: str) -> str | None:
    if place.startswith("/vsi") or "://" in place:
        return f"{place.rstrip('/')}/{band}/{layer}.tif"
    paths = [folder / f"{layer}{ending}" for folder in (Path(place), Path(place) / band) for ending in _ENDINGS]
    return next((str(path) for path in paths if path.is_file()), None)


def _without_gaps(values, place: str, files: dict, geobox: GeoBox, cover: np.ndarray | None, off: int) -> tuple[np.ndarray, dict]:
    """Values whose gaps (water, towns, single invalid pixels) take the nearest value, and their counts and distances for the origin.

    Raises:
        ValueError: no value at all, or land that lies beyond the files or too far from any value.
    """
    from scipy.ndimage import distance_transform_edt

    gaps = ~np.isfinite(values)
    if gaps.all():
        raise ValueError(f"{place} has no value on the grid; name the layers that cover it, or take a constant capacity")
    if not gaps.any():
        return values, {"filled": 0.0, "texture_off": 0}
    pixel = metres(geobox)
    distance, nearest = distance_transform_edt(gaps, return_indices=True)
    distance *= pixel
    land = gaps if cover is None else gaps & ~np.isin(cover, SOILLESS)
    lost, short = land & (distance > REACH), None
    if place != SERVICE and (far := land & (distance > RIM)).any():  # the service answers for the whole extent
        for file in files.values():
            outside = far & ~covered([file], geobox)
            lost, short = lost | outside, file if outside.any() else short
    if lost.any():
        reason = f"{short} does not reach there" if short else f"it is up to {distance[lost].max() / 1000:.0f} km from the nearest value"
        raise ValueError(
            f"{place} has no soil value on {lost.mean():.1%} of the grid where the land is neither town nor water: {reason}; name layers "
            "that cover the grid, or take a constant capacity"
        )
    share = float(gaps.mean())
    broken = f", of these pixels whose texture is not that of one soil: {off}," if off else ""
    warnings.warn(
        f"{redacted(place)}: {share:.1%} of the grid has no soil value (water, towns, or rims of the files){broken} and takes the nearest "
        f"one, from {distance.max() / 1000:.2g} km at most", stacklevel=3,
    )  # fmt: skip
    return values[tuple(nearest)], {"filled": round(share, 6), "filled_from_km": round(float(distance.max()) / 1000, 3), "texture_off": off}
