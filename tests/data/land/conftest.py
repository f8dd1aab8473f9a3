"""A small grid and files of land written for a test."""

from zipfile import ZipFile

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

WEST, NORTH = 650000.0, 6860000.0  # Lambert-93, south of Paris


@pytest.fixture
def grid() -> GeoBox:
    """40 x 40 pixels of 10 m in Lambert-93."""
    return GeoBox((40, 40), Affine(10, 0, WEST, 0, -10, NORTH), "EPSG:2154")


@pytest.fixture
def raster(tmp_path):
    """Writes an array as a GeoTIFF: `raster(name, values, pixel=10, crs=..., west=..., north=..., nodata=...)`."""
    import rasterio

    def write(name, values, *, pixel=10.0, crs="EPSG:2154", west=WEST, north=NORTH, nodata=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.asarray(values)
        with rasterio.open(
            path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
            crs=crs, transform=Affine(pixel, 0, west, 0, -pixel, north), nodata=nodata,
        ) as file:  # fmt: skip
            file.write(values, 1)
        return path

    return write


@pytest.fixture
def vector(tmp_path):
    """Writes polygons with attributes: `vector(name, shapes, crs="EPSG:2154", **columns)`; the ending chooses the format."""
    import pyogrio
    import shapely

    drivers = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".zip": "ESRI Shapefile", ".geojson": "GeoJSON"}

    def write(name, shapes, *, crs="EPSG:2154", **columns):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.with_suffix(".shp") if path.suffix == ".zip" else path
        pyogrio.raw.write(
            target, geometry=shapely.to_wkb(np.array(shapes, object)), geometry_type="Polygon", crs=crs, driver=drivers[path.suffix],
            field_data=[np.asarray(values, object if isinstance(values[0], str) else None) for values in columns.values()],
            fields=list(columns),
        )  # fmt: skip
        if path.suffix == ".zip":
            parts = sorted(path.parent.glob(f"{path.stem}.*"))
            with ZipFile(path, "w") as archive:
                for part in parts:
                    archive.write(part, part.name)
                    part.unlink()
        return path

    return write
