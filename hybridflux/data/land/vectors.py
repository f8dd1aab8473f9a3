"""Features of vector files, brought to the coordinate system of a grid and burned into its pixels."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from hybridflux.data.land.warp import VARIABLE

ENDINGS = (".gpkg", ".shp", ".zip", ".geojson", ".json", ".parquet", ".geoparquet", ".fgb")
_PARQUET = (".parquet", ".geoparquet")
_LONGITUDE_LATITUDE = "OGC:CRS84"  # GeoParquet 1.1: the coordinate system where none is given


@dataclass(frozen=True)
class Features:
    """Features of a file that touch a grid.

    Attributes:
        shapes: geometries `[feature]` in the coordinate system of the grid.
        table: their attributes, one row each, `RangeIndex`.
        source: the file.
    """

    shapes: np.ndarray
    table: pd.DataFrame
    source: str

    def __len__(self) -> int:
        return len(self.shapes)


def is_vector(file: str | Path) -> bool:
    """Whether a file holds features, by its ending."""
    return str(file).partition(VARIABLE)[0].lower().endswith(ENDINGS)


def read_features(file: str | Path, geobox: GeoBox) -> Features:
    """The features that touch a grid; those without a geometry are dropped and counted.

    Args:
        file: GeoPackage, Shapefile (also zipped), GeoJSON, FlatGeobuf or GeoParquet; `file.gpkg#LAYER` where it has several layers.
        geobox: the grid.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: the package that reads it is not installed; names the extra that brings it.
        ValueError: it cannot be read, has several layers and none is named, or names no coordinate system.
    """
    import shapely

    name, _, layer = str(file).partition(VARIABLE)
    if not Path(name).exists():
        raise FileNotFoundError(f"{name} does not exist")
    crs, wkb, table = _from_parquet(name) if name.lower().endswith(_PARQUET) else _from_ogr(name, layer, geobox)
    if crs is None:
        raise ValueError(f"{file} does not name its coordinate system; give it one with `ogr2ogr -a_srs EPSG:2154 OUT {Path(name).name}`")
    shapes = shapely.from_wkb(wkb)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if empty.any():
        warnings.warn(f"{file}: {int(empty.sum())} of {len(shapes)} features have no geometry and are left out", stacklevel=3)
    shapes = _transformed(shapes[~empty], crs, geobox)
    inside = shapely.intersects(shapes, shapely.box(*geobox.boundingbox.bbox))
    return Features(shapes[inside], table[~empty][inside].reset_index(drop=True), str(file))


def column(features: Features, names: tuple[str, ...]) -> pd.Series | None:
    """The first of several columns that the table has, whatever its capitals; None if it has none."""
    by_name = {str(name).lower(): name for name in features.table.columns}
    return next((features.table[by_name[name.lower()]] for name in names if name.lower() in by_name), None)


def needed(features: Features, names: tuple[str, ...], what: str) -> pd.Series:
    """As `column`, or an error that names what is there.

    Raises:
        ValueError: the file has none of the columns.
    """
    found = column(features, names)
    if found is None:
        there = ", ".join(map(str, features.table.columns)) or "no columns"
        raise ValueError(f"{features.source} has no column {' or '.join(names)} for {what}; it has {there}")
    return found


def burn(shapes: np.ndarray, values: np.ndarray, geobox: GeoBox, *, fill: int) -> np.ndarray:
    """Values of polygons in the pixels whose centres they hold, `[y, x]` int32; where they overlap the smaller polygon wins.

    Args:
        shapes: `[feature]` in the coordinate system of the grid.
        values: `[feature]` integers.
        geobox: the grid.
        fill: of pixels in no polygon.
    """
    import shapely
    from rasterio.features import rasterize

    if not len(shapes):
        return np.full(geobox.shape, fill, np.int32)
    order = np.argsort(-shapely.area(shapes), kind="stable")
    pairs = [(shapes[i], int(values[i])) for i in order]
    return rasterize(pairs, geobox.shape, fill=fill, transform=geobox.transform, all_touched=False, dtype="int32")


def claims(shapes: np.ndarray, geobox: GeoBox) -> np.ndarray:
    """Number of polygons that hold the centre of each pixel `[y, x]`."""
    from rasterio.enums import MergeAlg
    from rasterio.features import rasterize

    if not len(shapes):
        return np.zeros(geobox.shape, np.int32)
    return rasterize([(shape, 1) for shape in shapes], geobox.shape, transform=geobox.transform, merge_alg=MergeAlg.add, dtype="int32")


def _from_ogr(file: str, layer: str, geobox: GeoBox):
    """Coordinate system, WKB and attributes of the features near the grid."""
    try:
        from pyogrio import list_layers, raw, read_info
        from pyogrio.errors import DataLayerError, DataSourceError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{file}: vector files need pyogrio: pip install 'hybridflux[ingest]'") from error
    from rasterio.warp import transform_bounds

    path = f"/vsizip/{file}" if file.lower().endswith(".zip") else file
    try:
        layers = [str(name) for name, _ in list_layers(path)]
        if layer not in layers and (layer or len(layers) > 1):
            raise ValueError(f"{file} has the layers {', '.join(layers)}; name one: {file}{VARIABLE}{layers[0]}")
        crs = read_info(path, layer=layer or None)["crs"]
        near = None if crs is None else transform_bounds(geobox.crs.to_wkt(), crs, *geobox.boundingbox.bbox, densify_pts=31)
        meta, _, wkb, columns = raw.read(path, layer=layer or None, bbox=near)
    except (DataSourceError, DataLayerError) as error:
        raise ValueError(f"{file} is damaged or holds no features ({error}); download it again") from error
    return crs, wkb, pd.DataFrame(dict(zip(meta["fields"], columns, strict=True)), index=range(len(wkb)))


def _from_parquet(file: str):
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import read_table
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{file}: Parquet files need pyarrow: pip install 'hybridflux[ingest]'") from error

    try:
        stored = read_table(file)
    except (ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} is damaged or not Parquet ({error}); download it again") from error
    geo = json.loads((stored.schema.metadata or {}).get(b"geo", b"null"))
    if geo is None:
        raise ValueError(f"{file} is Parquet without geometries (no `geo` metadata); write it as GeoParquet")
    name = geo["primary_column"]
    about = geo["columns"][name]
    if about["encoding"] != "WKB":
        raise ValueError(f"{file}: geometry encoding {about['encoding']} is not read; write it as WKB")
    crs = json.dumps(about["crs"]) if about.get("crs") else (None if "crs" in about else _LONGITUDE_LATITUDE)
    return crs, stored[name].to_numpy(zero_copy_only=False), stored.drop_columns([name]).to_pandas(ignore_metadata=True)


def _transformed(shapes: np.ndarray, crs: str, geobox: GeoBox) -> np.ndarray:
    import shapely
    from pyproj import CRS, Transformer

    there, here = CRS.from_user_input(crs), CRS.from_user_input(geobox.crs.to_wkt())
    if there == here:
        return shapes
    change = Transformer.from_crs(there, here, always_xy=True)
    return shapely.transform(shapes, change.transform, interleaved=False)
