"""Sentinel-2 level 2A as ESA delivers it: SAFE folders and zips, also incomplete ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.imagery import window
from hybridflux.data.imagery.frames import Frame, FrameBand, scenes, solar_day_at
from hybridflux.data.imagery.offset_evidence import RED
from hybridflux.data.imagery.offset_series import FIRM, Declared
from hybridflux.data.imagery.offsets import RadiometricCalibration, calibration, mean_angles
from hybridflux.data.imagery.packages import Package, find_packages
from hybridflux.data.imagery.scene import Scene
from hybridflux.data.imagery.versions import current

METADATA = "MTD_MSIL2A.xml"
_IMAGE = r"(?:.*/)?IMG_DATA/(?:R(?P<folder>\d+)m/)?[^/]*_(?P<band>B\w\w|SCL)(?:_(?P<name>\d+)m)?\.(?:jp2|tif)"
_ACQUISITION = re.compile(r"(?P<unit>S2[A-D])_MSIL2A_(?P<time>\d{8}T\d{6})_N(?P<baseline>\d{4})_R\d{3}_(?P<tile>T\w{5})")


def safe_scenes(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """Scenes of SAFE products, see `scene.Reader`.

    A band is read at the best resolution the product has. Of one acquisition and tile in several processing baselines the newest is read,
    of several parts all.
    Besides the bands of the catalog a scene has the mean angles of its frames, `sun_zenith sun_azimuth view_zenith view_azimuth` [degree].

    Raises:
        ValueError: a product without metadata, without the mask, or with an incomplete file.
    """
    packages = find_packages(place, dataset.files, re.escape(METADATA))
    in_time = [package for package in packages if _may_be_in(package, start, end)]
    return scenes([_frame(package, rank, dataset) for package, rank in newest(in_time)], dataset, geobox, start, end)


def newest(packages: Sequence[Package]) -> list[tuple[Package, int]]:
    """The products to read, with their rank: of one acquisition and tile the newest processing of each part, newest first."""
    groups: dict[tuple, list[Package]] = {}
    for package in packages:
        parts = _ACQUISITION.match(package.name)
        key = (parts["unit"], parts["time"], parts["tile"]) if parts else (package.name,)
        groups.setdefault(key, []).append(package)
    return [(package, rank) for group in groups.values() for rank, package in enumerate(current(group, _version, _any_band))]


def _version(package: Package) -> tuple[str, str]:
    """Processing baseline, and time of the processing at the end of the name."""
    parts = _ACQUISITION.match(package.name)
    return (parts["baseline"], package.name.removesuffix(".SAFE").rpartition("_")[2]) if parts else ("", "")


def _any_band(package: Package) -> str | None:
    band_file = next((file for band, (file, _) in sorted(_best(package).items()) if band.startswith("B")), None)
    return band_file and package.raster(band_file)


def _may_be_in(package: Package, start: np.datetime64, end: np.datetime64) -> bool:
    parts = _ACQUISITION.match(package.name)
    if parts is None:
        return True
    day = np.datetime64(f"{parts['time'][:4]}-{parts['time'][4:6]}-{parts['time'][6:8]}")
    return bool(start - 1 <= day <= end + 1)


def _frame(package: Package, rank: int, dataset: Dataset) -> Frame:
    metadata = next(iter(package.find(rf"(.*/)?{re.escape(METADATA)}")), None)
    if metadata is None:
        raise ValueError(f"{package.path} has no {METADATA}, which holds baseline and offsets; download the product again")
    facts = calibration(package.text(metadata), f"{package.path}/{metadata}")
    files = _best(package)
    layers = {
        band.name: _layer(package, files[band.name], band, dataset, facts)
        for band in dataset.bands
        if band.name in files and band.name.startswith("B")
    }
    if not layers:
        raise ValueError(f"{package.path} has none of the bands of {dataset.id}: {lacking(package, dataset.bands)}")
    masks = []
    if dataset.mask:
        if dataset.mask.band not in files:
            raise ValueError(f"{package.path} has no {dataset.mask.band} to mask clouds; {lacking(package, dataset.bands)}")
        file, _ = files[dataset.mask.band]
        masks.append((dataset.mask, FrameBand(partial(window.raster, package.raster(file), 1, 0))))
    grid = next(iter(layers.values())).image().grid
    origin = {
        "place": str(package.path),
        "baseline": facts.baseline,
        "offset": {band: facts.offsets[band] for band in layers},
        "quantification": facts.quantification,
        "resolution": {band: files[band][1] for band in layers},
    }
    layers |= {name: _constant(name, value, grid) for name, value in _angles(package).items()}
    absent, day = lacking(package, dataset.bands), solar_day_at(facts.time, grid)
    parts = _ACQUISITION.match(package.name)
    tile = parts["tile"] if parts else str(grid)
    return Frame(package.name, day, grid, layers, masks, absent, origin, rank, _declared(facts, dataset), tile)


def _declared(facts: RadiometricCalibration, dataset: Dataset) -> Declared | None:
    if dataset.offsets != "sentinel-2":
        return None
    _, value = facts.linear(RED)
    return Declared(value, f"{METADATA} of baseline {facts.baseline}", FIRM, {METADATA: value})


def _best(package: Package) -> dict[str, tuple[str, float]]:
    """Band -> its file of the best resolution, and that resolution [m]; 10 m where neither folder nor name gives it (products of 2017)."""
    best: dict[str, tuple[str, float]] = {}
    for file in package.files:
        parts = re.fullmatch(_IMAGE, file)
        if parts:
            resolution = float(parts["name"] or parts["folder"] or 10)
            if parts["band"] not in best or resolution < best[parts["band"]][1]:
                best[parts["band"]] = file, resolution
    return best


def _layer(package: Package, file: tuple[str, float], band: Band, dataset: Dataset, facts: RadiometricCalibration) -> FrameBand:
    scale, offset = facts.linear(band.name) if dataset.offsets == "sentinel-2" else (band.scale, band.offset)
    return FrameBand(partial(window.raster, package.raster(file[0]), 1, band.nodata), scale, offset, file[1])


def _angles(package: Package) -> dict[str, float]:
    granule = next(iter(package.find(r"(.*/)?MTD_TL\.xml")), None)
    return mean_angles(package.text(granule), f"{package.path}/{granule}") if granule else {}


def _constant(name: str, value: float, grid: GeoBox) -> FrameBand:
    def read(roi: tuple[slice, slice]) -> np.ndarray:
        return np.full([part.stop - part.start for part in roi], value, np.float32)

    return FrameBand(lambda: window.Image(name, grid, read), reflective=False)


def lacking(package: Package, bands: Sequence[Band]) -> str:
    """Bands that a SAFE has and lacks, as a sentence: `this SAFE has no R10m; B08 is missing; B04 is there at 60 m`."""
    best = _best(package)
    folders = [folder for folder in ("R10m", "R20m", "R60m") if not package.find(rf".*/{folder}/[^/]*_B\w\w_\d+m\.(jp2|tif)")]
    missing = [band.name for band in bands if band.name not in best]
    present = ", ".join(f"{band} at {resolution:g} m" for band, (_, resolution) in sorted(best.items()))
    parts = [f"no reflectance in {' and '.join(folders)}"] if folders else []
    parts += [f"{', '.join(missing)} missing"] if missing else []
    return f"this SAFE has {'; '.join(parts) or 'all bands'}; there is {present or 'nothing'} ({package.path})"
