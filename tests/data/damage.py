"""Small files of every format that is read, and what a bad disk, a broken download or malice does to them."""

import gzip
import json
import shutil
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.archives import Archive, find_archives
from hybridflux.data.catalog import load_catalog
from hybridflux.data.fluxnet_table import read_table
from hybridflux.data.imagery import reader, window
from hybridflux.data.imagery.offsets import calibration
from hybridflux.data.land.vectors import read_features
from hybridflux.data.land.warp import numbers
from hybridflux.data.moisture import reader as moisture_reader
from hybridflux.data.site_table import read_sites
from hybridflux.data.vegetation import read_series
from hybridflux.data.weather import reader as weather_reader
from hybridflux.data.weather.netcdf import parts
from hybridflux.data.weather.netcdf import window as cells_of
from hybridflux.inference.posterior_file import Contents, read, write
from hybridflux.ingest.config import load_config
from tests.data import damage_maps as maps
from tests.data.imagery.stac_server import cog, collection_file, item
from tests.data.weather.grib_files import first

GRID = GeoBox((48, 48), Affine(10, 0, 600000, 0, -10, 4900000), "EPSG:32631")
DAYS = np.array(["2018-06-01", "2018-06-30"], "M8[D]")
EXTENT = (1.0, 43.0, 1.5, 43.5)
CATALOG = load_catalog()
VALUES = (np.random.default_rng(1).integers(100, 4000, GRID.shape.yx)).astype(np.int16)
DD = "FLX_DE-Tst_FLUXNET2015_FULLSET_DD_2018-2018_1-3.csv"


@dataclass(frozen=True)
class Format:
    """A small whole file, its reader, and whether half of it is always known to be half (text may end anywhere)."""

    make: Any
    read: Any
    known: bool = True


def raster(path, driver="GTiff", **options):
    with rasterio.open(
        path, "w", driver=driver, width=48, height=48, count=1, dtype="int16", crs="EPSG:32631", transform=GRID.affine, nodata=-1, **options
    ) as file:
        file.write(VALUES[None])
    return path


def cube(path, store=False):
    y, x = GRID.affine.f - 10 * (np.arange(48) + 0.5), GRID.affine.c + 10 * (np.arange(48) + 0.5)
    images = {"B04": np.stack([VALUES, VALUES]), "B08": np.stack([VALUES, VALUES]), "SCL": np.full((2, 48, 48), 4, np.int16)}
    data = {name: (("t", "y", "x"), values) for name, values in images.items()}
    made = xr.Dataset(data, {"t": np.array(["2018-06-05", "2018-06-10"], "M8[ns]"), "y": y, "x": x}, {"crs": "EPSG:32631"})
    if store:
        made.to_zarr(path, consolidated=False)
    else:
        made.to_netcdf(path, engine="h5netcdf", encoding={name: {"zlib": True} for name in data})
    return path


def read_cube(path):
    found = reader("cube")(CATALOG["sentinel-2-l2a-cube"], str(path), GRID, *DAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of offsets, which noise does not confirm
        return [scene.read(GRID, ["B04"])["B04"] for scene in found]


def weather(path, form):
    time, lat, lon = np.arange("2018-06-01", "2018-06-02", dtype="M8[h]").astype("M8[ns]"), [43.5, 43.25, 43.0], [1.0, 1.25, 1.5]
    t2m = (280 + np.random.default_rng(0).random((24, 3, 3))).astype(np.float32)
    made = xr.Dataset({"t2m": (("time", "latitude", "longitude"), t2m, {"units": "K"})}, {"time": time, "latitude": lat, "longitude": lon})
    if form == "zip":
        made.to_netcdf(path.with_suffix(".nc"), engine="h5netcdf")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path.with_suffix(".nc"), "data.nc")
        path.with_suffix(".nc").unlink()
    else:
        made.to_netcdf(path, engine=form, encoding={"t2m": {"zlib": True, "fletcher32": True}} if form == "h5netcdf" else {})
    return path


def read_weather(path):
    return [cells_of(data, EXTENT, None, name).values(next(iter(data.data_vars.values()))) for name, data in parts(path)]


def grib(path):
    latitudes, longitudes = np.array([43.5, 43.25, 43.0]), np.array([1.0, 1.25, 1.5])
    rng = np.random.default_rng(0)
    hours = np.arange("2018-06-01T00", "2018-06-01T04", dtype="M8[h]")
    path.write_bytes(b"".join(first("t2m", 280 + rng.random((3, 3)), hour, latitudes, longitudes) for hour in hours))
    return path


def smap(path):
    with h5py.File(path, "w") as file:
        file["cell_lat"], file["cell_lon"] = np.full((4, 4), 43.2, np.float32), np.full((4, 4), 1.2, np.float32)
        for name in ("sm_surface", "sm_rootzone"):
            file[f"Geophysical_Data/{name}"] = np.full((4, 4), 0.2, np.float32)
    return path


def read_smap(path):
    return moisture_reader("smap")(CATALOG["smap-l4"], path, EXTENT, *DAYS, 1.0).values["ssm"]


def fluxnet(path):
    rows = [f"201801{day:02d},{day / 10:.2f},{day / 7:.3f},0.9" for day in range(1, 32)]
    text = "\n".join(["TIMESTAMP,TA_F,NEE_VUT_REF,NEE_VUT_REF_QC", *rows, ""]).encode()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(DD, text)
    else:
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def read_fluxnet(path):
    archive = find_archives(path.parent, ["DE-Tst"]).get("DE-Tst") or Archive("DE-Tst", path, "DD", DD if path.suffix == ".zip" else None)
    return read_table(archive, frozenset(("TIMESTAMP", "TA_F", "NEE_VUT_REF", "NEE_VUT_REF_QC"))).to_numpy().astype(str)


def parcels(path, driver):
    import pyogrio
    import shapely

    boxes = [shapely.box(600000 + 100 * k, 4899600, 600090 + 100 * k, 4899900) for k in range(4)]
    target = path.with_suffix(".shp") if path.suffix == ".zip" else path
    pyogrio.raw.write(
        target, shapely.to_wkb(boxes), [np.array(["BTH", "MIS", "COL", "TRN"], object)], ["CODE_CULTU"], driver=driver, crs="EPSG:32631",
        geometry_type="Polygon",
    )  # fmt: skip
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in target.parent.glob(f"{target.stem}.*"):
                if part != path:
                    archive.write(part, part.name)
                    part.unlink()
    return path


def geoparquet(path):
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    boxes = shapely.to_wkb([shapely.box(600000, 4899600, 600090, 4899900)] * 3)
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}}}
    about["columns"]["geometry"]["crs"] = json.loads(__import__("pyproj").CRS.from_epsg(32631).to_json())
    table = pa.table({"geometry": list(boxes), "CODE": ["a", "b", "c"]}).replace_schema_metadata({"geo": json.dumps(about)})
    pq.write_table(table, path)
    return path


def posterior(path):
    contents = Contents({"gpp.light": np.random.default_rng(0).normal(size=(20, 5))}, 2, {"diverging": np.zeros(20)}, {
        "spec": {}, "places": ["DE-Tst"], "years": [2018], "info": {"provenance": {"seed": 1}}, "learned": ["gpp.light"],
    })  # fmt: skip
    write(path, contents, {}, {})
    return path


def stac(path):
    for name, values in (("B04", VALUES), ("Fmask", np.zeros(GRID.shape.yx, np.uint8))):
        cog(path.with_name(f"{name}.tif"), values, GRID, nodata=-9999 if name == "B04" else 255)
    hrefs = {name: f"{name}.tif" for name in ("B04", "Fmask")}
    return collection_file(path, [item("HLS.S30.T31UDS.2018160", np.datetime64("2018-06-09T10:54:21"), hrefs, GRID)])


def read_stac(path):
    return [scene.read(GRID, ["B04"])["B04"] for scene in reader("stac")(CATALOG["hls-s30"], str(path), GRID, *DAYS)]


def text(content):
    def make(path):
        path.write_text(content, encoding="utf-8")
        return path

    return make


SITES = "site_id,latitude,longitude,elevation,igbp,utc_offset\nDE-Tst,50.96,13.57,385,ENF,1\nFR-Tst,48.84,1.95,125,CRO,1\n"
DATES = [(month, day) for month in range(1, 10) for day in (1, 11, 21)]
SERIES = "site_id,date,fapar\n" + "".join(f"DE-Tst,2018-{month:02d}-{day:02d},0.{month}{day:02d}\n" for month, day in DATES)
MTD = (
    "<Product><PRODUCT_START_TIME>2022-07-05T10:56:31.024Z</PRODUCT_START_TIME><PROCESSING_BASELINE>04.00</PROCESSING_BASELINE>"
    "<BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE><BOA_ADD_OFFSET_VALUES_LIST>"
    + "".join(f'<BOA_ADD_OFFSET band_id="{band}">-1000</BOA_ADD_OFFSET>' for band in range(13))
    + "</BOA_ADD_OFFSET_VALUES_LIST></Product>"
)
DEMO = (Path(__file__).resolve().parents[2] / "data_catalog" / "regions" / "flanders-demo.toml").read_text()


def read_image(path):
    return window.values(window.raster(str(path)), GRID)


def read_land(path):
    return numbers([str(path)], GRID)


def read_parcels(path):
    found = read_features(path, GRID)
    return [shape.wkt for shape in found.shapes], found.table.to_numpy().astype(str)


FORMATS = {
    "B04.tif": Format(lambda path: raster(path, compress="deflate"), read_image),
    "plain.tif": Format(raster, read_image),
    "B04.jp2": Format(lambda path: raster(path, "JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"), read_image),
    "land.tif": Format(lambda path: raster(path, compress="lzw", tiled=True, blockxsize=16, blockysize=16), read_land),
    "S2_L2A_cube.nc": Format(cube, read_cube),
    "S2_L2A_cube.zarr": Format(lambda path: cube(path, store=True), read_cube, known=False),
    "era5.nc": Format(lambda path: weather(path, "h5netcdf"), read_weather),
    "era5_classic.nc": Format(lambda path: weather(path, "scipy"), read_weather),
    "era5.zip": Format(lambda path: weather(path, "zip"), read_weather),
    "era5.grib": Format(grib, read_weather, known=False),
    "SMAP_L4_SM_gph_20180603T193000_Vv7030_001.h5": Format(smap, read_smap),
    DD: Format(fluxnet, read_fluxnet, known=False),
    f"{DD}.gz": Format(fluxnet, read_fluxnet),
    "FLX_DE-Tst_FLUXNET2015_FULLSET_2018-2018_1-3.zip": Format(fluxnet, read_fluxnet),
    "sites.csv": Format(text(SITES), lambda path: str(read_sites(path.parent)), known=False),
    "series.csv": Format(text(SERIES), lambda path: [series.to_numpy() for series in read_series(path).values()], known=False),
    "MTD_MSIL2A.xml": Format(text(MTD), lambda path: calibration(path.read_bytes(), str(path)).offsets["B04"]),
    "region.toml": Format(text(DEMO), lambda path: load_config(path).model_dump_json(), known=False),
    "parcels.gpkg": Format(lambda path: parcels(path, "GPKG"), read_parcels, known=False),
    "parcels.fgb": Format(lambda path: parcels(path, "FlatGeobuf"), read_parcels, known=False),
    "parcels.geojson": Format(lambda path: parcels(path, "GeoJSON"), read_parcels, known=False),
    "parcels.zip": Format(lambda path: parcels(path, "ESRI Shapefile"), read_parcels),
    "parcels.parquet": Format(geoparquet, read_parcels),
    "posterior.nc": Format(posterior, lambda path: [read(path).leaves, read(path).header["places"]]),
    "items.json": Format(stac, read_stac, known=False),
    "dem.tif": Format(maps.heights, maps.read_heights),
    "dem.asc": Format(maps.heights, maps.read_heights, known=False),
    "soil": Format(maps.soil_layers, maps.read_soil),
    "biomass": Format(maps.biomass, maps.read_biomass),
    "SMAP_L3_SM_P_20180603_R18290_001.h5": Format(maps.composite, maps.in_time(moisture_reader, "smap-l3")),
    "SMAP_L2_SM_P_18000_D_20180603T053000_R18290_001.h5": Format(maps.orbit, maps.in_time(moisture_reader, "smap-l3")),
    "c_gls_SSM1km_201806020000.nc": Format(maps.saturation, maps.in_time(moisture_reader, "cgls-ssm-1km")),
    "agera5.nc": Format(maps.agera5, maps.in_time(weather_reader, "agera5")),
    "sim2.csv": Format(maps.sim2, maps.in_time(weather_reader, "sim2"), known=False),
    "plots.csv": Format(maps.forest, maps.read_forest, known=False),
    "plots.parquet": Format(maps.forest, maps.read_forest),
}  # fmt: skip


def cut(content: bytes, rng) -> bytes:
    """The beginning of a file."""
    return content[: int(rng.integers(0, len(content)))]


def flipped(content: bytes, rng) -> bytes:
    """One to eight bits changed."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwritten(content: bytes, rng) -> bytes:
    """A block of zeros, of noise, or of another place of the file."""
    size = int(rng.integers(1, min(512, len(content)) + 1))
    at, origin = (int(rng.integers(len(content) - size + 1)) for _ in range(2))
    block = (bytes(size), rng.bytes(size), content[origin : origin + size])[int(rng.integers(3))]
    return content[:at] + block + content[at + size :]


def head(content: bytes, rng) -> bytes:
    """Bits of the first hundred bytes changed, where most formats say how large everything is."""
    start = content[:100]
    return flipped(start, rng) + content[len(start) :]


DAMAGES = (cut, flipped, overwritten, head)


def damaged_copy(whole: Path, folder: Path, damage, rng) -> Path:
    """A copy of a file, or of the folder it is, with one file of it damaged."""
    folder.mkdir()
    for beside in whole.parent.iterdir():
        (shutil.copytree if beside.is_dir() else shutil.copy)(beside, folder / beside.name)
    copy = folder / whole.name
    target = copy
    if copy.is_dir():
        files = sorted(file for file in copy.rglob("*") if file.is_file())
        target = files[int(rng.integers(len(files)))]
    target.write_bytes(damage(target.read_bytes(), rng))
    return copy
