"""Monthly syntheses of Theia, level 3A: folders and zips `SENTINEL2X_20180515-000000-000_L3A_T31TCJ_C_V1-0`.

Reflectance FRC is a weighted mean of the clear dates of 46 days (WASP); FLG is the class of a pixel: 0 no data, 1 cloud, 2 snow, 3 water, 4
land. A synthesis stands for the date in its name, the middle of its period.
"""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.imagery.frames import Frame, scenes
from hybridflux.data.imagery.packages import Package, find_packages
from hybridflux.data.imagery.scene import Scene
from hybridflux.data.imagery.theia import acquisition, band_layers, lacking, mask_layer, name_of, newest


def synthesis_scenes(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """Scenes of Theia level 3A, see `scene.Reader`; a scene is the middle day of a synthesis.

    Raises:
        ValueError: a product without the mask of the catalog, an incomplete file.
    """
    packages = find_packages(place, dataset.files, r"[^/]*_FRC_B\d+A?\.tif")
    in_time = [package for package in packages if start <= _day(package) <= end]
    return scenes([_frame(package, rank, dataset) for package, rank in newest(in_time, dataset)], dataset, geobox, start, end)


def _day(package: Package) -> np.datetime64:
    return acquisition(package).astype("datetime64[D]")


def _frame(package: Package, rank: int, dataset: Dataset) -> Frame:
    layers, files = band_layers(package, dataset)
    masks = []
    if dataset.mask:
        flags = mask_layer(package, dataset.mask.band, nodata=0)
        if flags is None:
            raise ValueError(f"{package.path} has no mask {dataset.mask.band} in MASKS; download the product again, with its masks")
        masks.append((dataset.mask, flags))
    grid = next(iter(layers.values())).image().grid
    origin = {"place": str(package.path), "files": files, "version": name_of(package)["version"]}
    return Frame(package.name, _day(package), grid, layers, masks, lacking(package, dataset.bands, list(layers)), origin, rank)
