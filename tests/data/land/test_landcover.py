"""Land cover: codes survive, what has no plant type is told, files that do not fit are refused."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely import box

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import landcover, reader
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.polygons import stand_number
from hybridflux.data.land.warp import NO_LABEL, labels
from hybridflux.vocabulary import PLANT_TYPES

CATALOG = load_catalog()
WORLDCOVER = CATALOG["worldcover"]
FLANDERS = "OUTPUT_POLY-110_10m_00002806639B424A_32631_2017-08-01_2018-11-30.nc"


def name_of(index):
    return PLANT_TYPES[int(index)]


def test_every_format_has_a_reader_and_every_dataset_of_land_names_one():
    for format in reader.own:
        assert callable(reader(format))
    for dataset in CATALOG.values():
        if dataset.kind in ("landcover", "terrain") or dataset.id == "soilgrids":
            assert dataset.format in reader.own, f"{dataset.id} names no reader"
    with pytest.raises(ValueError, match="Did you mean `codes`"):
        reader("code")


def test_codes_become_plant_types(grid, raster):
    values = np.full((40, 40), 40, np.uint8)
    values[:10], values[10:12, :] = 10, 80
    found = landcover.read(WORLDCOVER, raster("map.tif", values), grid)
    assert (
        name_of(found.plant_type[0, 0]) == "MF" and name_of(found.plant_type[10, 0]) == "WAT" and name_of(found.plant_type[-1, -1]) == "CRO"
    )
    assert found.shares == {10: 0.25, 40: 0.7, 80: 0.05}
    assert found.origin["plant_types"] == {"MF": 0.25, "CRO": 0.7, "WAT": 0.05}
    np.testing.assert_array_equal(found.code, values)


def test_unknown_codes_are_masked_and_told_with_the_cure(grid, raster):
    values = np.full((40, 40), 40, np.uint8)
    values[:4] = 70
    with pytest.warns(UserWarning, match=r"landcover/worldcover.toml are masked: 70 \(10.0%\).*\[classes\]"):
        found = landcover.read(WORLDCOVER, raster("map.tif", values), grid)
    assert (found.plant_type[:4] == OUTSIDE).all() and (found.code[:4] == 70).all()


def test_a_file_that_covers_half_is_told(grid, raster):
    with pytest.warns(UserWarning, match="no value on 50.0% of the grid"):
        found = landcover.read(WORLDCOVER, raster("half.tif", np.full((40, 20), 30, np.uint8)), grid)
    assert (found.code[:, 20:] == NO_LABEL).all() and name_of(found.plant_type[0, 0]) == "GRA"
    assert found.origin["no_data"] == 0.5


def test_tiles_of_a_folder_are_joined(grid, raster):
    for name, west, code in (("N48E000", 0, 30), ("N48E003", 200, 40)):
        raster(f"tiles/ESA_WorldCover_10m_2021_v200_{name}_Map.tif", np.full((40, 20), code, np.uint8), west=650000 + west)
    folder = raster("tiles/other.tif", np.full((40, 40), 50, np.uint8)).parent
    found = landcover.read(WORLDCOVER, folder, grid)
    assert found.shares == {30: 0.5, 40: 0.5} and len(found.origin["files"]) == 2


def test_a_missing_tile_is_named(raster):
    """A grid across 3 degrees east, where a tile of WorldCover ends, with the western tile alone."""
    across = GeoBox((4, 40), Affine(10, 0, 699800, 0, -10, 6860000), "EPSG:2154")
    path = raster("ESA_WorldCover_10m_2021_v200_N48E000_Map.tif", np.full((4, 20), 30, np.uint8), west=699800)
    with pytest.warns(UserWarning, match=r"50.0% of the grid, which is masked \(ESA_WorldCover_10m_2021_v200_N48E003_Map.tif is not among"):
        found = landcover.read(WORLDCOVER, path, across)
    assert found.origin["missing_tiles"] == ["ESA_WorldCover_10m_2021_v200_N48E003_Map.tif"]


def test_shares_and_pictures_are_no_codes(grid, raster, tmp_path):
    import rasterio

    profile = dict(driver="GTiff", height=40, width=40, count=3, dtype="uint8", crs="EPSG:2154", transform=grid.affine)
    with rasterio.open(tmp_path / "picture.tif", "w", **profile) as file:
        file.write(np.full((3, 40, 40), 10, np.uint8))  # red 10 would be tree cover
    with pytest.raises(ValueError, match="picture.tif is a picture in red, green and blue"):
        landcover.read(WORLDCOVER, tmp_path / "picture.tif", grid)
    with pytest.raises(ValueError, match="share.tif holds 0.25, not a code"):
        landcover.read(WORLDCOVER, raster("share.tif", np.full((40, 40), 0.25, np.float32)), grid)


def test_nodata_is_missing_not_a_code(grid, raster):
    values = np.full((40, 40), 40, np.uint8)
    values[0] = 0
    with pytest.warns(UserWarning, match="no value on 2.5%"):
        found = landcover.read(WORLDCOVER, raster("map.tif", values, nodata=0), grid)
    assert 0 not in found.shares


def test_a_coarser_grid_takes_the_most_frequent_code(raster):
    values = np.tile([[30, 40, 40], [30, 40, 80], [30, 30, 80]], (10, 10)).astype(np.uint8)  # 30 4 times, 40 3, 80 2
    coarse = GeoBox((10, 10), Affine(30, 0, 650000, 0, -30, 6860000), "EPSG:2154")
    found = landcover.read(WORLDCOVER, raster("map.tif", values), coarse)
    assert found.shares == {30: 1.0}


def test_another_coordinate_system_is_warped(grid, raster):
    """A stripe in UTM ends up where it lies: its area agrees within a rim of half a pixel."""
    there = grid.to_crs("EPSG:32631", resolution=10).pad(5)
    rows, columns = there.shape
    values = np.full((rows, columns), 40, np.uint8)
    values[rows // 2 :] = 30
    west, north = there.boundingbox.left, there.boundingbox.top
    found = landcover.read(WORLDCOVER, raster("utm.tif", values, crs="EPSG:32631", west=west, north=north), grid)
    assert found.shares[30] == pytest.approx(0.5, abs=0.05) and sum(found.shares.values()) == 1.0
    assert (found.code[0] == 40).all() and (found.code[-1] == 30).all()


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_files_that_cannot_be_placed_or_read_are_refused(grid, raster, tmp_path):
    with pytest.raises(ValueError, match="has no coordinate system or no origin.*-a_srs"):
        landcover.read(WORLDCOVER, raster("nowhere.tif", np.ones((4, 4), np.uint8), crs=None), grid)
    with pytest.raises(ValueError, match="has no value on the grid .*48.8"):
        landcover.read(WORLDCOVER, raster("far.tif", np.full((4, 4), 40, np.uint8), west=900000), grid)
    whole = raster("whole.tif", np.random.default_rng(0).integers(0, 90, (300, 300)).astype(np.uint8))
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[:20000])
    with pytest.raises(ValueError, match="cut.tif is damaged.*download it again"):
        landcover.read(WORLDCOVER, cut, GeoBox.from_bbox((650000, 6857000, 653000, 6860000), "EPSG:2154", resolution=10))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        landcover.read(WORLDCOVER, tmp_path / "no.tif", grid)
    with pytest.raises(FileNotFoundError, match="holds no ESA_WorldCover"):
        landcover.read(WORLDCOVER, tmp_path, grid)
    with pytest.raises(ValueError, match=r"has no \[classes\]"):
        landcover.read(replace_classes(WORLDCOVER), cut, grid)


def replace_classes(dataset):
    return dataset.model_copy(update={"classes": {}})


def test_types_of_bd_foret_have_numbers_of_their_own(grid, vector):
    types = ["FF1G01-01", "FF1G06-06", "FF2-63-63", "FF31", "FF1-00", "LA4"]
    assert [stand_number(code) for code in types] == [101, 106, 263, 301, 199, 2400]
    assert stand_number("FF2G53-53") == 253 and stand_number("FF1-00-00") == 100 and stand_number("FF2-00") == 299
    assert stand_number("FP") == 3000 and stand_number("FO3") == 1300 and stand_number("oak") is None
    stripes = [box(650000 + 60 * i, 6859600, 650060 + 60 * i, 6860000) for i in range(6)]
    with pytest.warns(UserWarning, match="10.0% of the grid"):
        found = landcover.read(CATALOG["bd-foret-v2"], vector("foret.gpkg", stripes, CODE_TFV=types), grid)
    assert [name_of(index) for index in found.plant_type[0, 3:36:6]] == ["DBF", "EBF", "DNF", "MF", "DBF", "CSH"]


def test_codes_that_are_no_codes_are_told(grid, vector):
    with pytest.warns(UserWarning) as caught:
        landcover.read(CATALOG["oso"], vector("oso.gpkg", [box(650000, 6859600, 650200, 6860000), box(650200, 6859600, 650400, 6860000)],
                       classe=["16", "forest"]), grid)  # fmt: skip
    assert any("neither numbers nor BD Foret types" in str(warning.message) and "forest" in str(warning.message) for warning in caught)
    with pytest.raises(ValueError, match="no column .*CODE_GROUP.*it has colour"):
        landcover.read(CATALOG["oso"], vector("none.gpkg", [box(650000, 6859600, 650200, 6860000)], colour=["red"]), grid)


def test_class_tables_are_whole():
    """OSO has classes 1 to 23; CORINE its 44 codes, in vectors by code and in rasters by number: both give one plant type."""
    corine = CATALOG["corine"].classes
    codes = sorted(code for code in corine if code > 100)
    assert set(range(1, 24)) - set(CATALOG["oso"].classes) == {14, 15, 22}  # orchards, vineyards, snow: declared unmapped
    levels = [111, 112, 121, 122, 123, 124, 131, 132, 133, 141, 142, 211, 212, 213, 221, 222, 223, 231, 241, 242, 243, 244,
              311, 312, 313, 321, 322, 323, 324, 331, 332, 333, 334, 335, 411, 412, 421, 422, 423, 511, 512, 521, 522, 523]  # fmt: skip
    assert len(levels) == 44 and set(codes) <= set(levels)
    assert set(levels) - set(codes) == {221, 222, 223, 334, 335, 422}  # declared unmapped
    for number, code in enumerate(levels, start=1):
        assert corine.get(number) == corine.get(code), f"raster value {number} and code {code} differ"


def test_labels_of_flanders_are_read_as_stored(shared):
    xarray = pytest.importorskip("xarray")
    path = shared / "data" / "eo" / "flanders_s2" / FLANDERS
    stored = xarray.open_dataset(path, engine="h5netcdf")["LC"].values
    patch = GeoBox.from_bbox((501360, 5629040, 502000, 5629680), "EPSG:32631", resolution=10)
    with pytest.warns(UserWarning, match="99 "):
        found = landcover.read(CATALOG["worldcereal-labels"], f"{path}#LC", patch)
    np.testing.assert_array_equal(found.code, stored)
    assert {name: round(share * 4096) for name, share in found.origin["plant_types"].items()} == {"GRA": 835, "CRO": 1401, "URB": 107}
    with pytest.raises(ValueError, match="no variable `XX`.*LC, CT, IRR"):
        labels([f"{path}#XX"], patch)


def test_conifers_of_the_meuse_are_darker_in_summer(shared):
    """The mask of the Meuse is the conifers of BD Foret: its pixels reflect less near infrared in July than the others."""
    import rasterio

    folder = shared / "data" / "eo" / "meuse_theia"
    image = next(folder.glob("SENTINEL2A_20180717*/*_FRE_B8A.tif"))
    with rasterio.open(image) as file:
        near_infrared = file.read(1).astype(float)
        patch = GeoBox(file.shape, file.transform, file.crs)
    found = landcover.read(CATALOG["bd-foret-conifers"], folder / "BDForet_ZoneTest.tif", patch)
    conifers = found.plant_type == PLANT_TYPES.index("ENF")
    assert conifers.mean() == pytest.approx(0.656, abs=0.02)  # 4199 of the 6400 pixels of 10 m
    assert np.median(near_infrared[conifers]) < 0.75 * np.median(near_infrared[~conifers])


def test_land_cover_is_immutable(grid, raster):
    found = landcover.read(WORLDCOVER, raster("map.tif", np.full((40, 40), 40, np.uint8)), grid)
    assert replace(found, shares={}).shares == {} and found.shares
