"""Parcels as files hold them: crossed rings, duplicates, slivers, exchanged coordinates; repaired or refused, and counted."""

import builtins
import json
import warnings

import numpy as np
import pytest
import shapely
from shapely import affinity, box

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import landcover, parcels
from hybridflux.data.land.landcover import OUTSIDE

CATALOG = load_catalog()
RPG = CATALOG["rpg"]
BOW = shapely.Polygon([(650100, 6859700), (650300, 6859900), (650300, 6859700), (650100, 6859900)])  # two triangles of 1 ha
LOOP = shapely.Polygon(
    [(650000, 6859600), (650100, 6859600), (650100, 6859700), (650040, 6859700), (650040, 6859580), (650060, 6859580), (650060, 6859680),
     (650000, 6859680)]  # it passes twice over a part of itself
)  # fmt: skip
FIELD = box(650020, 6859620, 650120, 6859720)  # 1 ha


LAMBERT = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}


def geojson(path, shapes, **of):
    features = [
        {"type": "Feature", "properties": {"CODE_GROUP": "1"}, "geometry": json.loads(shapely.to_geojson(shape))} for shape in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features} | of))
    return path


@pytest.fixture
def read(grid, vector):
    """Reads polygons as parcels: `read(shapes, "1", "18")`, one group a polygon; gives the parcels and what was reported."""

    def parcels_of(shapes, *groups, **columns):
        path = vector("p.gpkg", shapes, CODE_GROUP=list(groups), **columns)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            found = parcels.read(RPG, path, grid)
        return found, " ".join(str(warning.message) for warning in caught if warning.category is UserWarning)

    return parcels_of


def test_a_ring_that_crosses_itself_keeps_its_area_and_eats_nothing(read):
    """The area of a figure of eight is 0 by its ring: it was the smallest of all parcels and took the pixels of those below."""
    small = box(650220, 6859760, 650280, 6859790)
    found, said = read([small, BOW], "18", "1")
    assert "not valid, mostly rings that cross themselves, repaired: 1, of 0.00 ha before and 2.00 ha after" in said
    assert found.table["area_ha"].tolist() == pytest.approx([0.18, 2.0])
    assert found.table["pixels"].tolist()[0] == 18 and found.table["pixels"][1] == pytest.approx(200 - 18, abs=12)
    assert found.origin["repaired"] == 1 and found.origin["repaired_ha"] == pytest.approx(2.0)


def test_a_ring_that_overlaps_itself_has_no_hole_there(read):
    assert not shapely.is_valid(LOOP)
    found, said = read([LOOP], "1")
    assert "not valid" in said and found.table["area_ha"][0] == pytest.approx(shapely.make_valid(LOOP, method="structure").area / 1e4)
    assert found.table["pixels"][0] == 96 - 4  # four lie below the grid


def test_polygons_of_a_land_cover_are_repaired_too(grid, vector):
    path = vector("foret.gpkg", [BOW], CODE_TFV=["FF1G01-01"])
    with pytest.warns(UserWarning, match="not valid|no value on 8"):
        found = landcover.read(CATALOG["bd-foret-v2"], path, grid)
    assert (found.plant_type != OUTSIDE).sum() == pytest.approx(200, abs=12) and found.origin["polygons"]["repaired"] == 1


def test_exact_duplicates_count_once_and_the_first_is_kept(read):
    turned = shapely.Polygon(np.roll(np.array(FIELD.exterior.coords)[:-1], 1, axis=0))  # the same ring from another corner
    found, said = read([FIELD, turned, FIELD], "1", "1", "18", ID_PARCEL=["a", "b", "c"])
    assert "duplicate polygons, left out: 2, 1 of them with another group of crops" in said
    assert found.table["parcel"].tolist() == ["a"] and found.table["area_ha"].sum() == pytest.approx(1.0)
    assert (found.origin["duplicates"], found.origin["duplicates_of_another_group"], found.origin["in_two_parcels"]) == (2, 1, 0)


def test_a_sliver_does_not_take_pixels_of_a_field(read):
    sliver = box(650023, 6859620, 650027, 6859720)  # 4 m wide over the centres of a column of pixels
    for order in ([FIELD, sliver], [sliver, FIELD]):
        found, said = read(order, "1", "18")
        assert found.table["pixels"][order.index(FIELD)] == 100 and found.origin["slivers"] == 1
        assert "0.62% of the grid lies in two parcels and goes to the smaller one, or to the one that is not a sliver" in said


def test_two_years_in_one_file_are_suspected(read):
    found, said = read([FIELD, affinity.scale(FIELD, 0.98, 0.98)], "1", "18")
    assert "does the file hold several years?" in said and found.table["pixels"].tolist() == [0, 100]


def test_holes_parts_and_heights(grid, tmp_path):
    holed = shapely.difference(FIELD, box(650050, 6859650, 650090, 6859690))
    both = shapely.MultiPolygon([box(650200, 6859620, 650250, 6859670), box(650300, 6859620, 650350, 6859670)])
    found = parcels.read(RPG, geojson(tmp_path / "p.geojson", [shapely.force_3d(holed, 120.0), both], crs=LAMBERT), grid)
    assert found.table["area_ha"].tolist() == pytest.approx([0.84, 0.5])
    assert found.table["pixels"].tolist() == [84, 50] and found.zone[40 - 7, 6] == 0 and not found.origin["repaired"]


def test_collections_points_and_what_has_no_area(read, grid, tmp_path):
    flat = shapely.Polygon([(650100, 6859700), (650200, 6859700), (650100, 6859700)])
    found, said = read([FIELD, flat], "1", "1")
    assert "polygons without an area, left out: 1" in said and len(found.table) == 1 and found.origin["without_area"] == 1
    mixed = shapely.GeometryCollection([FIELD, shapely.LineString([(650200, 6859700), (650300, 6859700)])])
    path = geojson(tmp_path / "mixed.geojson", [mixed, shapely.Point(650200, 6859800)], crs=LAMBERT)
    with pytest.warns(UserWarning, match="geometry collections of which only the polygons are used: 1|points or lines, left out: 1"):
        found = parcels.read(RPG, path, grid)
    assert found.table["area_ha"].tolist() == pytest.approx([1.0]) and found.origin["no_polygon"] == 1


def test_groups_that_are_no_numbers_are_reported(read):
    found, said = read([FIELD, affinity.translate(FIELD, 150)], "wheat", "1")
    assert "group none or no number (1)" in said and found.table["plant_type"].tolist() == ["", "CRO"]


def test_why_no_parcel_lies_on_the_grid(grid, tmp_path, vector):
    from pyproj import Transformer

    change = Transformer.from_crs("EPSG:2154", "EPSG:4326")  # latitude first
    exchanged = shapely.transform(FIELD, change.transform, interleaved=False)
    with pytest.raises(
        ValueError, match="it lies from 48.8.* and on the grid if the two are exchanged: it holds latitude before longitude"
    ):
        parcels.read(RPG, geojson(tmp_path / "yx.geojson", [exchanged]), grid)
    with pytest.raises(ValueError, match="it lies from 650020 to 650120 .*which are not the degrees that it declares"):
        parcels.read(RPG, geojson(tmp_path / "metres.geojson", [FIELD]), grid)
    with pytest.raises(ValueError, match="no parcel on the grid .it lies from 750020 to 750120 .*, the grid from 650000 to 650400"):
        parcels.read(RPG, vector("far.gpkg", [affinity.translate(FIELD, 1e5)], CODE_GROUP=["1"]), grid)
    middle = shapely.transform(FIELD.centroid, lambda x, y: change.transform(x, y)[::-1], interleaved=False)
    with pytest.raises(ValueError, match="has no polygon, points or lines: 1"):
        parcels.read(RPG, geojson(tmp_path / "point.geojson", [middle]), grid)


def test_years_of_several_files_do_not_overlap(grid, vector):
    for year, group in ((2021, "1"), (2022, "18")):
        folder = vector(f"rpg/R32_{year}-01-01/PARCELLES_GRAPHIQUES.shp", [FIELD], CODE_GROUP=[group]).parents[1]
    with pytest.raises(ValueError, match=r"holds files of the years \[2021, 2022\], which would overlap; name one"):
        parcels.read(RPG, folder, grid)
    assert parcels.read(RPG, folder, grid, year=2022).table["group"].tolist() == [18]
    with pytest.raises(ValueError, match=r"of the years \[2021, 2022\], not 2019"):
        parcels.read(RPG, folder, grid, year=2019)


@pytest.mark.parametrize(
    ("name", "module", "said"), [("p.gpkg", "pyogrio", "vector files need pyogrio"), ("p.parquet", "pyarrow", "need pyarrow")]
)
def test_a_missing_library_names_its_extra(grid, tmp_path, monkeypatch, name, module, said):
    real = builtins.__import__

    def without(asked, *rest, **more):
        if asked.split(".")[0] == module:
            raise ModuleNotFoundError(f"No module named '{asked}'")
        return real(asked, *rest, **more)

    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=rf"{said}: pip install 'hybridflux\[ingest\]'"):
        parcels.read(RPG, tmp_path / name, grid)


def test_names_that_are_not_utf8_are_read(grid, tmp_path, vector):
    path = tmp_path / "latin.geojson"
    feature = {"type": "Feature", "properties": {"CODE_GROUP": "1", "label": "blé"}, "geometry": json.loads(shapely.to_geojson(FIELD))}
    text = json.dumps({"type": "FeatureCollection", "crs": LAMBERT, "features": [feature]}, ensure_ascii=False)
    path.write_bytes(text.encode("latin-1"))
    with pytest.warns(UserWarning, match="not UTF-8 and are read as ISO-8859-1"):
        found = parcels.read(RPG, path, grid)
    assert found.table["label"].tolist() == ["blé"]
    shapefile = vector("dated.shp", [FIELD], CODE_GROUP=["1"], LIB_GROUP=["blé"])  # UTF-8, as its .cpg says
    for _ in ("with", "without"):
        assert parcels.read(RPG, shapefile, grid).table["label"].tolist() == ["blé"]
        shapefile.with_suffix(".cpg").unlink(missing_ok=True)
    table = shapefile.with_suffix(".dbf")
    table.write_bytes(table.read_bytes().replace("blé".encode(), "blé ".encode("latin-1")))
    with pytest.warns(UserWarning, match="not UTF-8"):
        assert parcels.read(RPG, shapefile, grid).table["label"].tolist() == ["blé"]
