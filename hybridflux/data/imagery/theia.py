"""Sentinel-2 level 2A of Theia (MAJA): folders and zips `SENTINEL2A_20180508-104025-460_L2A_T31UFQ_C_V2-2`.

Theia delivers two reflectances: FRE, corrected for slopes, and SRE, without; the band names of the catalog select one. Masks: CLM (cloud
and shadow, bits), EDG (edge of the swath) and MG2 (snow, terrain, bits), each at R1 (10 m) or R2 (20 m). Format: "Sentinel-2 output
format", MAJA, CESBIO.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Band, Dataset, Mask
from hybridflux.data.imagery import window
from hybridflux.data.imagery.frames import Frame, FrameBand, scenes, solar_day_at
from hybridflux.data.imagery.offset_evidence import NEAR_INFRARED
from hybridflux.data.imagery.packages import Package, find_packages
from hybridflux.data.imagery.scene import Scene
from hybridflux.data.imagery.versions import current

NAME = re.compile(r"SENTINEL2(?P<unit>[A-DX])_(?P<date>\d{8})-(?P<time>\d{6})-\d+_L[23]A_(?P<tile>T\w{5})_\w_V(?P<version>[\d-]+)")
BESIDES = (Mask(band="EDG", clear=(0,)), Mask(band="MG2", cloudy_bits=(2, 4, 5, 6, 7)))
"""Further masks, applied where a product has them: beyond the edge of the swath; snow, shadow of mountains, hidden by them, low or grazing
sun. Bits as MAJA's tool majamask reads them."""
_PASS = np.timedelta64(10, "m")  # acquisitions of a tile by one satellite less apart are of one pass; orbits are 100 minutes apart


def theia_scenes(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """Scenes of Theia level 2A, see `scene.Reader`. Of two versions of one acquisition the newer is read, of two parts of a tile both.

    Raises:
        ValueError: a product without the mask of the catalog, an incomplete file.
    """
    packages = find_packages(place, dataset.files, r"[^/]*_(FRE|SRE)_B\d+A?\.tif")
    in_time = [package for package in packages if start - 1 <= acquisition(package).astype("datetime64[D]") <= end + 1]
    return scenes([_frame(package, rank, dataset) for package, rank in newest(in_time, dataset)], dataset, geobox, start, end)


def newest(packages: Sequence[Package], dataset: Dataset) -> list[tuple[Package, int]]:
    """The products to read, with their rank: of one pass and tile the newest version of each part, the newest part first."""
    passes: dict[tuple, list[Package]] = {}
    latest: dict[tuple, tuple[int, np.datetime64]] = {}
    for package in sorted(packages, key=acquisition):
        parts, time = name_of(package), acquisition(package)
        key = parts["unit"], parts["tile"]
        number, before = latest.get(key, (0, time))
        number += int(time - before > _PASS)
        latest[key] = number, time
        passes.setdefault((*key, number), []).append(package)
    kept = [pair for group in passes.values() for pair in enumerate(current(group, _version, partial(_brightest, dataset)))]
    return sorted(((package, rank) for rank, package in kept), key=lambda pair: pair[0].name)


def _brightest(dataset: Dataset, package: Package) -> str | None:
    """Path of the near infrared, which no version cuts at zero over land; of another band where there is none."""
    bands = sorted(dataset.bands, key=lambda band: band.name not in NEAR_INFRARED)
    band_file = next((file for band in bands if (file := file_of(package, band.aliases or (band.name,)))), None)
    return band_file and package.raster(band_file)


def name_of(package: Package) -> re.Match:
    """The parts of the name of a product.

    Raises:
        ValueError: it is not a name of Theia.
    """
    parts = NAME.match(package.name)
    if parts is None:
        raise ValueError(f"{package.path} is not named as Theia names products, SENTINEL2A_YYYYMMDD-HHMMSS-mmm_L2A_T31UFQ_C_V2-2")
    return parts


def _version(package: Package) -> tuple[int, ...]:
    return tuple(int(number) for number in name_of(package)["version"].strip("-").split("-"))


def acquisition(package: Package) -> np.datetime64:
    """Time of the acquisition, UTC, by the name of a product."""
    date, time = name_of(package)["date"], name_of(package)["time"]
    return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}")


def file_of(package: Package, names: Sequence[str]) -> str | None:
    """The file of a product whose name ends with one of some names, the first name first: `FRE_B4`, `CLM_R1`."""
    return next((file for name in names for file in package.find(rf"(.*/)?[^/]*_{re.escape(name)}\.tif")), None)


def band_layers(package: Package, dataset: Dataset) -> tuple[dict[str, FrameBand], dict[str, str]]:
    """The layers of the bands of the catalog that a product has, and their files.

    Raises:
        ValueError: it has none.
    """
    layers, files = {}, {}
    for band in dataset.bands:
        file = file_of(package, band.aliases or (band.name,))
        if file:
            files[band.name] = file
            layers[band.name] = FrameBand(partial(window.raster, package.raster(file), 1, band.nodata), band.scale, band.offset)
    if not layers:
        raise ValueError(f"{package.path} has none of the bands of {dataset.id}; is the download complete?")
    return layers, files


def mask_layer(package: Package, name: str, nodata: float | None = None) -> FrameBand | None:
    """The layer of a mask at its finest resolution, if the product has it."""
    file = file_of(package, (f"{name}_R1", f"{name}_R2", name))
    return FrameBand(partial(window.raster, package.raster(file), 1, nodata)) if file else None


def lacking(package: Package, bands: Sequence[Band], has: Sequence[str]) -> str:
    """Bands of the catalog that a product has and lacks, as a sentence."""
    absent = [band.name for band in bands if band.name not in has]
    return f"of the bands of the catalog it has {', '.join(has) or 'none'} and lacks {', '.join(absent) or 'none'}; see {package.path}"


def _frame(package: Package, rank: int, dataset: Dataset) -> Frame:
    layers, files = band_layers(package, dataset)
    masks = []
    if dataset.mask:
        cloud = mask_layer(package, dataset.mask.band)
        if cloud is None:
            raise ValueError(f"{package.path} has no mask {dataset.mask.band} in MASKS; download the product again, with its masks")
        masks.append((dataset.mask, cloud))
    others = [(mask, mask_layer(package, mask.band)) for mask in BESIDES]
    masks += [(mask, layer) for mask, layer in others if layer]
    grid = next(iter(layers.values())).image().grid
    origin = {"place": str(package.path), "files": files, "version": name_of(package)["version"]}
    absent = lacking(package, dataset.bands, list(layers))
    return Frame(package.name, solar_day_at(acquisition(package), grid), grid, layers, masks, absent, origin, rank)
