"""Synthetic products: a surface written as a file, a SAFE or a folder of Theia, so that what must come back is known."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog

FIRST, LAST = np.datetime64("2015-01-01"), np.datetime64("2030-01-01")


@pytest.fixture(scope="session")
def catalog():
    return load_catalog()


@pytest.fixture
def box():
    """`box(size, pixel)`: a grid whose upper left corner is that of the synthetic tile in zone 31."""

    def make(size=60, pixel=10.0, west=600000.0, north=4900020.0, crs="EPSG:32631"):
        return GeoBox((size, size), Affine(pixel, 0, west, 0, -pixel, north), crs)

    return make


@pytest.fixture
def write_raster():
    def write(path: Path, values: np.ndarray, geobox: GeoBox, *, crs=True, **options) -> Path:
        import rasterio

        path.parent.mkdir(parents=True, exist_ok=True)
        driver = {".jp2": "JP2OpenJPEG", ".tif": "GTiff"}[path.suffix]
        lossless = {"QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"} if driver == "JP2OpenJPEG" else {}
        profile = {"crs": geobox.crs.to_wkt()} if crs else {}
        bands = values if values.ndim == 3 else values[None]
        with rasterio.open(
            path, "w", driver=driver, dtype=values.dtype, count=len(bands), height=values.shape[-2], width=values.shape[-1],
            transform=geobox.affine, **profile, **lossless, **options,
        ) as file:  # fmt: skip
            file.write(bands)
        return path

    return write


@pytest.fixture
def make_safe(tmp_path, write_raster, box):
    """`make_safe(reflectance, baseline)`: a complete SAFE of B04 and B08 (10 m), B8A (20 m) and SCL (20 m) with its metadata."""

    def make(reflectance, *, baseline="0400", day="20220705", tile="T31TDJ", labels=None, grid=None, place=tmp_path, stamp="20220705T15"):
        grid = grid or box()
        offset = -1000 if float(baseline) >= 400 else 0
        name = f"S2A_MSIL2A_{day}T105631_N{baseline}_R094_{tile}_{stamp}.SAFE"
        images = Path(place) / name / "GRANULE" / f"L2A_{tile}" / "IMG_DATA"
        stored = np.where(np.isnan(reflectance), 0, np.rint(reflectance * 10000) - offset).astype(np.uint16)
        coarse = grid.zoom_out(2)
        labels = np.full(coarse.shape.yx, 4) if labels is None else labels
        fine, rough = {"B04": stored, "B08": stored}, {"B8A": stored[::2, ::2], "SCL": labels.astype(np.uint8)}
        for resolution, geobox, bands in ((10, grid, fine), (20, coarse, rough)):
            for band, values in bands.items():
                write_raster(images / f"R{resolution}m" / f"{tile}_{day}T105631_{band}_{resolution}m.jp2", values, geobox)
        list_of_offsets = "".join(f'<BOA_ADD_OFFSET band_id="{number}">{offset}</BOA_ADD_OFFSET>' for number in range(13))
        (Path(place) / name / "MTD_MSIL2A.xml").write_text(
            f"<Product><PRODUCT_START_TIME>{day[:4]}-{day[4:6]}-{day[6:]}T10:56:31.024Z</PRODUCT_START_TIME>"
            f"<PROCESSING_BASELINE>{baseline[:2]}.{baseline[2:]}</PROCESSING_BASELINE>"
            "<BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE>"
            + (f"<BOA_ADD_OFFSET_VALUES_LIST>{list_of_offsets}</BOA_ADD_OFFSET_VALUES_LIST>" if offset else "")
            + "</Product>"
        )
        return Path(place) / name

    return make


@pytest.fixture
def zipped():
    """`zipped(folder)`: the folder as a zip beside it, the folder removed."""

    def make(folder: Path) -> Path:
        path = folder.with_name(folder.name + ".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
        shutil.rmtree(folder)
        return path

    return make


@pytest.fixture
def truncated():
    """`truncated(path)`: the file loses its second half."""

    def cut(path: Path) -> Path:
        content = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(content[: len(content) // 2])
        return path

    return cut
