"""Files that point at other files: refused by name, whatever they are called, and nothing of the other file is seen."""

import zipfile

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.hdf5 import open_hdf5, open_netcdf
from hybridflux.data.imagery import window
from hybridflux.data.imagery.cube import cube_scenes
from hybridflux.data.land.vectors import read_features
from hybridflux.data.land.warp import numbers
from hybridflux.data.origin import read_origin
from hybridflux.data.rasters import IMAGES, MAPS, open_raster
from hybridflux.data.weather.netcdf import parts
from hybridflux.inference.posterior_file import read as read_posterior
from hybridflux.limits import Refused

GRID = GeoBox((40, 40), Affine(10, 0, 600000, 0, -10, 4900000), "EPSG:32631")
DAYS = (np.datetime64("2018-01-01"), np.datetime64("2019-01-01"))
RAW = (
    '<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:32631</SRS><GeoTransform>600000,10,0,4900000,0,-10</GeoTransform>'
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename relativetoVRT="0">{}</SourceFilename>'
    "<PixelOffset>1</PixelOffset><LineOffset>4</LineOffset></VRTRasterBand></VRTDataset>"
)
POINTING = {
    "vrt": RAW.format("/etc/passwd"),
    "vrt of a server": RAW.format("/vsicurl/http://127.0.0.1:9/x"),
    "xml before": '<?xml version="1.0"?>\n' + RAW.format("/etc/passwd"),
    "wms": '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>',
    "tile index": "<GDALTileIndexDataset><IndexDataset>/etc/passwd</IndexDataset></GDALTileIndexDataset>",
    "stac": '{"type": "Feature", "stac_version": "1.0.0", "assets": {"a": {"href": "/etc/passwd"}}}',
}
WAYS = {
    "imagery": lambda path: window.raster(str(path)),
    "land": lambda path: numbers([str(path)], GRID),
    "our maps": read_origin,
    "stack": lambda path: window.values(window.raster(str(path)), GRID),
}


def tif(path, value=1, **options):
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8", "crs": "EPSG:32631", "transform": GRID.affine}
    with rasterio.open(path, "w", **profile, **options) as file:
        file.write(np.full((1, 64, 64), value, np.uint8))
    return path


@pytest.mark.parametrize("text", POINTING.values(), ids=POINTING)
@pytest.mark.parametrize("read", WAYS.values(), ids=WAYS)
def test_a_raster_that_describes_other_files_is_refused(tmp_path, text, read):
    path = tmp_path / "B04.tif"
    path.write_text(text)
    with pytest.raises(Refused, match="B04.tif is no GeoTIFF.*describes other files.*gdal_translate"):
        read(path)


def test_a_description_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("B04.tif", POINTING["vrt"])
    with pytest.raises(ValueError, match="not recognized"):
        window.raster(f"/vsizip/{tmp_path}/p.zip/B04.tif")


@pytest.mark.parametrize("ending", [".ovr", ".msk"])
@pytest.mark.parametrize("drivers", [IMAGES, MAPS], ids=["imagery", "land"])
def test_reduced_copies_and_masks_beside_a_raster_are_rasters(tmp_path, ending, drivers):
    path = tif(tmp_path / "a.tif")
    (tmp_path / f"a.tif{ending}").write_text(POINTING["vrt"])
    with pytest.raises(Refused, match=f"a.tif{ending} is no GeoTIFF.*remove it"):
        open_raster(path, drivers)
    tif(tmp_path / f"a.tif{ending}")
    open_raster(path, drivers).close()


def test_reduced_copies_somewhere_else_are_refused(tmp_path):
    path = tif(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE="/etc/passwd")
    with pytest.raises(Refused, match="reduced copies lie in /etc/passwd"):
        open_raster(path)


@pytest.mark.parametrize("path", ["/vsicurl/file:///etc/passwd", "/vsisubfile/0_100,/etc/passwd", "/vsistdin/", "/vsizip//vsicurl/http://h/x.zip/a",
                                  "/vsicurl%2f/vsi", "/vsicached?file=/etc/passwd", "/vsisparse/x.xml"])  # fmt: skip
def test_other_virtual_file_systems_are_refused(path):
    with pytest.raises(Refused, match="virtual file system"):
        open_raster(path)


def linked(path, kind):
    """A netCDF-4 file whose variable `x` comes from elsewhere."""
    with h5py.File(path.with_name("other.h5"), "w") as file:
        file["x"] = np.arange(5.0)
    with h5py.File(path, "w") as file:
        if kind == "link":
            file["group/x"] = h5py.ExternalLink("other.h5", "/x")
        elif kind == "values":
            file.create_dataset("x", (5,), "u1", external=[("/etc/passwd", 0, 5)])
        else:
            layout = h5py.VirtualLayout((5,), "f8")
            layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (5,))
            file.create_virtual_dataset("x", layout)
    return path


HDF5 = {
    "hdf5": lambda path: open_hdf5(path),
    "netcdf": lambda path: open_netcdf(path),
    "weather": lambda path: list(parts(path)),
    "land": lambda path: numbers([f"{path}#x"], GRID),
    "posterior": read_posterior,
    "origin": read_origin,
    "cube": lambda path: cube_scenes(load_catalog()["sentinel-2-l2a-cube"], str(path), GRID, *DAYS),
}


@pytest.mark.parametrize("kind", ["link", "values", "virtual"])
@pytest.mark.parametrize("read", HDF5.values(), ids=HDF5)
def test_hdf5_that_takes_values_from_other_files_is_refused(tmp_path, kind, read):
    with pytest.raises(Refused, match=r"f\.nc: /(group/)?x .* file .*(other.h5|/etc/passwd); files that take values from other files"):
        read(linked(tmp_path / "f.nc", kind))


def test_links_within_a_file_are_followed_once(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["a/x"] = np.arange(3)
        file["a/up"], file["a/self"], file["soft"], file["lost"] = file["/"], file["a"], h5py.SoftLink("/a/x"), h5py.SoftLink("/no")
    with open_hdf5(path) as file:
        assert file["soft"][2] == 2


def test_an_axis_beyond_the_limit_is_refused_and_the_limit_can_be_raised(tmp_path, monkeypatch):
    xr.Dataset({"x": ("time", np.zeros(30))}).to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_AXIS", "20")
    with pytest.raises(Refused, match=r"/(x|time): an axis .* at most 20 entries, and it has 30.*HYBRIDFLUX_LIMIT_AXIS"):
        open_netcdf(tmp_path / "f.nc")
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_AXIS", "30")
    open_netcdf(tmp_path / "f.nc").close()


OGR = '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'


@pytest.mark.parametrize("ending", [".gpkg", ".shp", ".geojson", ".json", ".fgb"])
def test_a_vector_file_that_describes_other_files_is_refused(tmp_path, ending):
    path = tmp_path / f"parcels{ending}"
    path.write_text(OGR)
    with pytest.raises(Refused, match=f"parcels{ending} is damaged, or no {ending[1:]}"):
        read_features(path, GRID)


@pytest.mark.parametrize("name", ["parcels.shp", "a.vrt", "a.txt", "vrt.xml"])
def test_a_zip_of_a_description_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "parcels.zip", "w") as archive:
        archive.writestr(name, OGR)
    with pytest.raises(Refused, match="parcels.zip"):
        read_features(tmp_path / "parcels.zip", GRID)


def test_vector_json_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"type":"Topology","objects":{"a":{"type":"Point","coordinates":[0,0]}},"arcs":[]}')
    with pytest.raises(Refused, match="read as TopoJSON"):
        read_features(tmp_path / "a.json", GRID)


def test_a_store_with_symbolic_links_is_refused(tmp_path):
    path = tmp_path / "cube.zarr"
    xr.Dataset({"B04": (("time", "y", "x"), np.zeros((1, 2, 2)))}).to_zarr(path, consolidated=False)
    (path / "B04" / "c" / "0" / "0" / "1").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="symbolic link"):
        HDF5["cube"](path)
