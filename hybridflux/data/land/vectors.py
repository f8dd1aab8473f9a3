"""Features of vector files, transformed to the coordinate system of a grid and rasterised."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from hybridflux.data.grid_axes import placing
from hybridflux.data.land.shapes import POLYGONS, repaired, slivers
from hybridflux.data.land.warp import VARIABLE
from hybridflux.data.parquet import read_parquet
from hybridflux.data.vector_files import admitted, check_driver
from hybridflux.limits import shown

ENDINGS = (".gpkg", ".shp", ".zip", ".geojson", ".json", ".parquet", ".geoparquet", ".fgb")
_PARQUET = (".parquet", ".geoparquet")
_WESTERN = "ISO-8859-1"  # of texts that are not UTF-8: it reads any byte
HECTARE = 1e4  # m2
_LONGITUDE_LATITUDE = "OGC:CRS84"  # GeoParquet 1.1: the coordinate system where none is given


@dataclass(frozen=True)
class Features:
    """Features of a file that touch a grid.

    Attributes:
        shapes: geometries `[feature]` in the coordinate system of the grid, polygons valid and without heights.
        table: attributes, one row for each feature, `RangeIndex`.
        source: name of the file.
        mended: counts of omissions and repairs: `without_geometry`, `without_area`, `repaired`, `repaired_ha`; JSON-ready.
        where: reason why no feature is on the grid, as far as the file shows it; empty where some are.
    """

    shapes: np.ndarray
    table: pd.DataFrame
    source: str
    mended: dict[str, float] = field(default_factory=dict)
    where: str = ""

    def __len__(self) -> int:
        return len(self.shapes)


def is_vector(file: str | Path) -> bool:
    """Whether a file holds features, by its ending."""
    return str(file).partition(VARIABLE)[0].lower().endswith(ENDINGS)


def read_features(file: str | Path, geobox: GeoBox) -> Features:
    """The features that touch a grid; polygons are repaired, those without a geometry or an area are dropped, and all are counted.

    Args:
        file: GeoPackage, Shapefile (also zipped), GeoJSON, FlatGeobuf or GeoParquet; `file.gpkg#LAYER` where it has several layers.
        geobox: the grid.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: the package that reads it is not installed; names the extra that installs it.
        ValueError: it cannot be read, has several layers and none is named, or names no coordinate system.
    """
    import shapely

    name, _, layer = str(file).partition(VARIABLE)
    if not Path(name).exists():
        raise FileNotFoundError(f"{name} does not exist")
    crs, wkb, table = _from_parquet(name) if name.lower().endswith(_PARQUET) else _from_ogr(name, layer, geobox)
    if crs is None:
        raise ValueError(f"{file} does not name its coordinate system; give it one with `ogr2ogr -a_srs EPSG:2154 OUT {Path(name).name}`")
    stored = shapely.from_wkb(wkb, on_invalid="ignore")
    empty = shapely.is_missing(stored) | shapely.is_empty(stored)
    with placing(str(file)):
        shapes = _transformed(stored[~empty], crs, geobox)
    west, south, east, north = geobox.boundingbox.bbox
    left, bottom, right, top = shapely.bounds(shapes).reshape(-1, 4).T
    near = (left <= east) & (right >= west) & (bottom <= north) & (top >= south)
    shapes, counts = repaired(shapes[near])
    flat = np.isin(shapely.get_type_id(shapes), POLYGONS) & (shapely.area(shapes) == 0)
    inside = ~flat & shapely.intersects(shapes, shapely.box(west, south, east, north))
    hectares = {key: round(counts[key] / HECTARE, 4) for key in ("area_before", "area_after")}
    mended = {"without_geometry": int(empty.sum()), "without_area": int(flat.sum()), "repaired": counts["invalid"],
              "repaired_ha": round(hectares["area_after"] - hectares["area_before"], 4), "collections": counts["collections"]}  # fmt: skip
    _report(str(file), len(stored), mended, hectares)
    where = "" if inside.any() else _nowhere(name, layer, crs, stored[~empty], geobox)
    return Features(shapes[inside], table[~empty][near][inside].reset_index(drop=True), str(file), mended, where)


def _report(file: str, features: int, mended: dict[str, float], hectares: dict[str, float]) -> None:
    lines = []
    if count := mended["without_geometry"]:
        lines.append(f"{count} of {features} features have no geometry and are left out")
    if count := mended["without_area"]:
        lines.append(f"polygons without an area, left out: {count}")
    if count := mended["repaired"]:
        lines.append(
            f"polygons that are not valid, mostly rings that cross themselves, repaired: {count}, of "
            f"{hectares['area_before']:.2f} ha before and {hectares['area_after']:.2f} ha after"
        )
    if count := mended["collections"]:
        lines.append(f"geometry collections of which only the polygons are used: {count}")
    if lines:
        warnings.warn(f"{file}: {'; '.join(lines)}", stacklevel=4)


def _nowhere(file: str, layer: str, crs: str, stored: np.ndarray, geobox: GeoBox) -> str:
    """Reason why a file has no feature on the grid: its extent, or exchanged or wrongly declared coordinates."""
    import shapely
    from pyproj import CRS
    from rasterio.warp import transform_bounds

    bounds = shapely.total_bounds(stored) if len(stored) else _bounds(file, layer)
    if bounds is None or not np.isfinite(bounds).all():
        return "it holds no feature with a place"
    west, south, east, north = (float(edge) for edge in bounds)
    lies = f"it lies from {west:.6g} to {east:.6g} and from {south:.6g} to {north:.6g}"
    geographic = CRS.from_user_input(crs).is_geographic
    if geographic and (max(abs(west), abs(east)) > 360 or max(abs(south), abs(north)) > 90.001):
        return f"{lies}, which are not the degrees that it declares; give it its own coordinate system, as with `ogr2ogr -a_srs EPSG:2154`"
    with placing(file):
        left, bottom, right, top = transform_bounds(geobox.crs.to_wkt(), crs, *geobox.boundingbox.bbox, densify_pts=31)
    if south < right and north > left and west < top and east > bottom:
        return f"{lies}, and on the grid if the two are exchanged: it holds latitude before longitude; exchange them"
    return f"{lies}, the grid from {left:.6g} to {right:.6g} and from {bottom:.6g} to {top:.6g}"


def _bounds(file: str, layer: str) -> tuple[float, ...] | None:
    """Extent of a whole layer in its own coordinates, None where it does not give one."""
    if file.lower().endswith(_PARQUET):
        return None
    return _pyogrio(file).read_info(admitted(file), layer=layer or None, force_total_bounds=True)["total_bounds"]


def _pyogrio(file: str):
    try:
        import pyogrio
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{file}: vector files need pyogrio: pip install 'hybridflux[ingest]'") from error
    return pyogrio


def column(features: Features, names: tuple[str, ...]) -> pd.Series | None:
    """The first of several columns that the table has, whatever its capitals; None if it has none."""
    by_name = {str(name).lower(): name for name in features.table.columns}
    return next((features.table[by_name[name.lower()]] for name in names if name.lower() in by_name), None)


def needed(features: Features, names: tuple[str, ...], what: str) -> pd.Series:
    """As `column`, or an error that names the existing columns.

    Raises:
        ValueError: the file has none of the columns.
    """
    values = column(features, names)
    if values is None:
        present = ", ".join(map(str, features.table.columns)) or "no columns"
        raise ValueError(f"{features.source} has no column {' or '.join(names)} for {what}; it has {present}")
    return values


def burn(shapes: np.ndarray, values: np.ndarray, geobox: GeoBox, *, fill: int) -> np.ndarray:
    """Values of polygons in the pixels whose centres they hold, `[y, x]` int32.

    Where polygons overlap the smaller one wins, but slivers, narrower than half a pixel, yield to all others.

    Args:
        shapes: `[feature]` in the coordinate system of the grid.
        values: `[feature]` integers.
        geobox: the grid.
        fill: code of pixels in no polygon.
    """
    import shapely
    from rasterio.features import rasterize

    if not len(shapes):
        return np.full(geobox.shape, fill, np.int32)
    order = np.lexsort((-shapely.area(shapes), ~slivers(shapes, abs(geobox.affine.e))))
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
    from rasterio.warp import transform_bounds

    pyogrio, path = _pyogrio(file), admitted(file)
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        if layer not in layers and (layer or len(layers) > 1):
            raise ValueError(f"{file} has the layers {', '.join(layers)}; name one: {file}{VARIABLE}{layers[0]}")
        about = pyogrio.read_info(path, layer=layer or None)
        check_driver(about["driver"], file)
        crs = about["crs"] or None
        with placing(file):
            near = None if crs is None else transform_bounds(geobox.crs.to_wkt(), crs, *geobox.boundingbox.bbox, densify_pts=31)
        options = {"layer": layer or None, "bbox": near}
        silent = file.lower().endswith(".shp") and not any(Path(file).with_suffix(ending).exists() for ending in (".cpg", ".CPG"))
        try:
            meta, _, wkb, columns = pyogrio.raw.read(path, encoding="UTF-8" if silent else None, **options)
        except UnicodeDecodeError:
            meta, _, wkb, columns = pyogrio.raw.read(path, encoding=_WESTERN, **options)
            warnings.warn(f"{file}: its texts are not UTF-8 and are read as {_WESTERN}", stacklevel=4)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, IndexError, UnicodeDecodeError, RuntimeError) as error:
        raise ValueError(f"{file} is damaged or holds no features ({error}); download it again") from error
    if wkb is None:
        raise ValueError(f"{file} is damaged or holds no geometries; download it again")
    return crs, wkb, pd.DataFrame(dict(zip(meta["fields"], columns, strict=True)), index=range(len(wkb)))


def _from_parquet(file: str):
    stored = read_parquet(file)
    try:
        geo = json.loads((stored.schema.metadata or {}).get(b"geo", b"null"))
        name = geo and geo["primary_column"]
        about = geo and geo["columns"][name]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} has damaged `geo` metadata ({shown(error)}); write it as GeoParquet again") from error
    if geo is None:
        raise ValueError(f"{file} is Parquet without geometries (no `geo` metadata); write it as GeoParquet")
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
