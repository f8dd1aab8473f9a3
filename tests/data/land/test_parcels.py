"""Parcels: areas agree with the polygons, no pixel counts twice, files of every kind and fault."""

import json

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from shapely import affinity, box

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import landcover, parcels
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.vectors import read_features
from hybridflux.vocabulary import PLANT_TYPES

CATALOG = load_catalog()
RPG = CATALOG["rpg"]
FIELDS = [affinity.rotate(box(650020, 6859620, 650150, 6859900), 8), affinity.rotate(box(650190, 6859650, 650370, 6859930), 8)]
COLUMNS = {"ID_PARCEL": ["11", "12"], "SURF_PARC": [3.64, 5.04], "CODE_CULTU": ["BTH", "PPH"], "CODE_GROUP": ["1", "18"]}


def code(name):
    return PLANT_TYPES.index(name)


@pytest.mark.parametrize("name", ["p.gpkg", "PARCELLES_GRAPHIQUES.shp", "rpg.zip", "p.geojson"])
def test_parcels_of_every_format(grid, vector, name):
    crs = "EPSG:4326" if name.endswith("geojson") else "EPSG:2154"
    found = parcels.read(RPG, vector(name, _in(crs, FIELDS), crs=crs, **COLUMNS), grid)
    assert found.names == {1: "11 BTH", 2: "12 PPH"}
    assert found.table["plant_type"].tolist() == ["CRO", "GRA"] and found.table["group"].tolist() == [1, 18]
    for zone, shape in enumerate(FIELDS, start=1):
        pixels = (found.zone == zone).sum()
        rim = shape.length / 10 / 2  # half of the pixels of the rim at most are wrong
        assert abs(pixels - shape.area / 100) < rim and pixels == found.table["pixels"][zone - 1]
        assert found.table["area_ha"][zone - 1] == pytest.approx(shape.area / 1e4, rel=2e-4)
    assert (found.plant_type[found.zone == 1] == code("CRO")).all() and (found.plant_type[found.zone == 0] == OUTSIDE).all()


def test_a_whole_landscape_adds_up(grid, vector):
    """A mosaic without gaps: each pixel in one parcel, areas of the mosaic to a part in a hundred."""
    rng = np.random.default_rng(1)
    points = shapely.multipoints(rng.uniform((650000, 6859600), (650400, 6860000), (60, 2)))
    window = box(650000, 6859600, 650400, 6860000)
    cells = [shapely.intersection(cell, window) for cell in shapely.get_parts(shapely.voronoi_polygons(points, extend_to=window))]
    found = parcels.read(RPG, vector("v.gpkg", cells, CODE_GROUP=["1"] * 60), grid)
    assert (found.zone > 0).all() and found.origin["in_two_parcels"] == 0
    area = np.bincount(found.zone.ravel(), minlength=61)[1:] * 0.01
    rim = np.array([cell.length for cell in cells]) * 10 / 2 / 1e4
    assert (np.abs(area - found.table["area_ha"]) <= rim + 1e-9).all()
    assert np.abs((area - found.table["area_ha"]).sum()) < 1e-6


def test_the_centre_decides(grid, vector):
    half = box(650000, 6859600, 650104, 6860000)  # 4 m into the 11th column: its centres lie outside
    assert (parcels.read(RPG, vector("h.gpkg", [half], CODE_GROUP=["1"]), grid).zone > 0).sum() == 10 * 40


def test_overlaps_go_to_the_smaller_parcel_and_are_told(grid, vector):
    big, small = box(650000, 6859600, 650400, 6860000), box(650100, 6859700, 650200, 6859800)
    for order in ([big, small], [small, big]):
        with pytest.warns(UserWarning, match="6.25% of the grid lies in two parcels"):
            found = parcels.read(RPG, vector("o.gpkg", order, CODE_GROUP=["1", "2"]), grid)
        assert (found.zone == order.index(small) + 1).sum() == 100 and (found.zone > 0).all()


def test_unmapped_groups_leave_the_ground_to_the_map_below(grid, vector):
    with pytest.warns(UserWarning, match=r"group 21 \(1\)"):
        found = parcels.read(RPG, vector("v.gpkg", FIELDS, CODE_GROUP=["21", "1"], CODE_CULTU=["VRC", "BTH"]), grid)
    assert (found.plant_type[found.zone == 1] == OUTSIDE).all() and (found.zone == 1).any()


def test_empty_geometries_are_left_out(grid, vector, tmp_path):
    """A file with an index never gives them; one that is read whole tells their number."""
    found = parcels.read(RPG, vector("e.gpkg", [*FIELDS, None], CODE_GROUP=["1", "2", "3"]), grid)
    assert len(found.table) == 2
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    geo = {
        "version": "1.0.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "crs": CRS.from_epsg(2154).to_json_dict()}},
    }
    table = pa.table({"geometry": [*shapely.to_wkb(np.array(FIELDS, object)), None], "CODE_GROUP": ["1", "2", "3"]})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "e.parquet")
    with pytest.warns(UserWarning, match="1 of 3 features have no geometry"):
        assert len(parcels.read(RPG, tmp_path / "e.parquet", grid).table) == 2


def test_faults_are_named(grid, vector, tmp_path):
    far = [affinity.translate(shape, 1e5) for shape in FIELDS]
    with pytest.raises(ValueError, match="no parcel on the grid"):
        parcels.read(RPG, vector("far.gpkg", far, **COLUMNS), grid)
    with pytest.raises(ValueError, match="no column CODE_GROUP.*it has CROP"):
        parcels.read(RPG, vector("c.gpkg", FIELDS, CROP=["a", "b"]), grid)
    with pytest.warns(UserWarning, match="crs"), pytest.raises(ValueError, match="does not name its coordinate system"):
        parcels.read(RPG, vector("n.gpkg", FIELDS, crs=None, **COLUMNS), grid)
    with pytest.raises(FileNotFoundError, match="holds no PARCELLES_GRAPHIQUES.shp"):
        parcels.read(RPG, tmp_path, grid)
    damaged = tmp_path / "cut.gpkg"
    damaged.write_bytes(vector("w.gpkg", FIELDS, **COLUMNS).read_bytes()[:3000])
    with pytest.raises(ValueError, match="cut.gpkg is damaged"):
        parcels.read(RPG, damaged, grid)


def test_layers_of_one_file(grid, vector):
    import pyogrio

    path = vector("l.gpkg", FIELDS, **COLUMNS)
    pyogrio.raw.write(path, geometry=shapely.to_wkb(np.array(FIELDS[:1], object)), geometry_type="Polygon", crs="EPSG:2154", layer="blocks",
                      field_data=[np.array(["5"], object)], fields=["CODE_GROUP"], append=True)  # fmt: skip
    with pytest.raises(ValueError, match="has the layers l, blocks; name one: .*l.gpkg#l"):
        parcels.read(RPG, path, grid)
    assert len(parcels.read(RPG, f"{path}#l", grid).table) == 2 and len(parcels.read(RPG, f"{path}#blocks", grid).table) == 1


def test_years_of_one_file(grid, vector):
    path = vector("y.gpkg", FIELDS, annee=[2021, 2022], **COLUMNS)
    assert parcels.read(RPG, path, grid, year=2022).names == {1: "12 PPH"}
    with pytest.raises(ValueError, match=r"holds the years \[2021, 2022\]; name one"):
        parcels.read(RPG, path, grid)
    with pytest.raises(ValueError, match="not 2019"):
        parcels.read(RPG, path, grid, year=2019)


def test_geoparquet(grid, tmp_path):
    """GeoParquet 1.0 with and without a coordinate system; longitude and latitude where it says nothing."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def write(name, geo):
        table = pa.table({"geometry": shapely.to_wkb(np.array(_in("EPSG:4326", FIELDS), object)), "CODE_GROUP": ["1", "18"]})
        pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)} if geo else {}), tmp_path / name)
        return tmp_path / name

    column = {"encoding": "WKB", "geometry_types": ["Polygon"]}
    found = parcels.read(
        RPG, write("rpg.parquet", {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": column}}), grid
    )
    assert found.table["plant_type"].tolist() == ["CRO", "GRA"]
    assert (found.zone == 1).sum() == pytest.approx(FIELDS[0].area / 100, rel=0.05)
    with pytest.raises(ValueError, match="without geometries"):
        parcels.read(RPG, write("plain.parquet", None), grid)
    unplaced = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": column | {"crs": None}}}
    with pytest.raises(ValueError, match="does not name its coordinate system"):
        parcels.read(RPG, write("null.parquet", unplaced), grid)


def test_crop_types_of_flanders_become_zones(shared):
    place = next((shared / "data" / "eo" / "flanders_s2").glob("OUTPUT_*.nc"))
    patch = GeoBox((64, 64), Affine(10, 0, 501360, 0, -10, 5629680), "EPSG:32631")
    found = parcels.read(CATALOG["worldcereal-crops"], f"{place}#CT", patch)
    assert found.origin["codes"] == [1200, 2130, 5100, 7900, 9120]
    assert found.table["pixels"].tolist() == [1249, 31, 25, 96, 835] and (found.zone == 0).sum() == 1860
    assert found.names == {1: "maize", 2: "leafy vegetables", 3: "potatoes", 4: "legumes", 5: "permanent grass"}
    cover = landcover.read(
        CATALOG["worldcereal-labels"].model_copy(update={"classes": {11: "CRO", 13: "GRA", 60: "URB", 99: "BSV"}}), f"{place}#LC", patch
    )
    np.testing.assert_array_equal(found.plant_type[found.zone > 0], cover.plant_type[found.zone > 0])  # crop and land cover agree


def test_real_parcel_points_lie_in_france(shared):
    """The published samples of the RPG are points: read as features they keep their place."""
    file = next((shared / "data" / "eo" / "rpg_points").glob("2023_*.geoparquet"))
    france = GeoBox.from_bbox((-0.9, 42.8, 1.5, 49.2), "EPSG:4326", resolution=0.01)
    features = read_features(file, france)
    assert len(features) > 0.9 * 24684
    np.testing.assert_allclose(shapely.get_x(features.shapes), features.table["lon"], atol=1e-6)
    np.testing.assert_allclose(shapely.get_y(features.shapes), features.table["lat"], atol=1e-6)


def _in(crs, shapes):
    if crs == "EPSG:2154":
        return shapes
    change = Transformer.from_crs("EPSG:2154", crs, always_xy=True)
    return [shapely.transform(shape, change.transform, interleaved=False) for shape in shapes]
