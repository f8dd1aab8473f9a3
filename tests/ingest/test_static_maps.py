"""The static maps of a region: each judged with the others, everything that was filled or repaired kept in its origin."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from hybridflux.data.catalog import load_catalog
from hybridflux.ingest.static_maps import read_static_maps

WEST, NORTH = 500_000.0, 5_400_000.0  # of the made-up place of conftest.py: two rows of water, grass in the west, crops in the east
CATALOG = load_catalog()


def terrain(folder, values):
    """A terrain model of the made-up place."""
    profile = dict(driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype="float32", crs="EPSG:32631", nodata=-9999)
    with rasterio.open(folder / "dem.tif", "w", transform=from_origin(WEST, NORTH, 10, 10), **profile) as file:
        file.write(values.astype(np.float32), 1)
    return {"dataset": "copernicus-dem-glo30", "place": str(folder / "dem.tif")}


def parcels(folder, *boxes):
    """Parcels of wheat, corners in metres from the north-west corner."""
    import pyogrio

    shapes = np.array([shapely.Polygon([(WEST + x, NORTH - y) for x, y in corners]) for corners in boxes], object)
    pyogrio.raw.write(
        folder / "p.gpkg", geometry=shapely.to_wkb(shapes), geometry_type="Polygon", crs="EPSG:32631", driver="GPKG",
        field_data=[np.array(["1"] * len(shapes), object)], fields=["CODE_GROUP"],
    )  # fmt: skip
    return {"dataset": "rpg", "place": str(folder / "p.gpkg")}


def test_the_sea_is_where_the_land_cover_says_water(place, make, tmp_path):
    heights = np.full(make.size, 5.0)
    heights[:2] = -9999
    config = make.configuration(place, terrain=terrain(tmp_path, heights))
    with pytest.warns(UserWarning, match="5.56% taken as sea"):
        land = read_static_maps(config, CATALOG)
    assert (land.elevation[:2] == 0).all() and land.origin["terrain"]["taken_as_sea"] == pytest.approx(2 / 36, abs=1e-6)
    heights[:, 10:30] = -9999
    with pytest.raises(
        ValueError, match=r"dem.tif has no height on .*land \((GRA, CRO|CRO, GRA)\).*add Copernicus_DSM_COG_10_N48_00_E003_00_DEM"
    ):
        read_static_maps(make.configuration(place, terrain=terrain(tmp_path, heights)), CATALOG)


def test_parcels_of_a_part_of_the_region_are_reported(place, make, tmp_path):
    config = make.configuration(place, zones=parcels(tmp_path, [(200, 20), (240, 20), (240, 360), (200, 360)]))
    with pytest.warns(UserWarning, match="p.gpkg: 80% of the cropland of the land cover lies in no parcel"):
        land = read_static_maps(config, CATALOG)
    assert land.origin["zones"]["cropland_without_parcel"] == pytest.approx(0.8, abs=0.01)
    whole = make.configuration(place, zones=parcels(tmp_path, [(200, 20), (400, 20), (400, 360), (200, 360)]))
    assert read_static_maps(whole, CATALOG).origin["zones"]["cropland_without_parcel"] == 0


def test_repairs_are_in_the_origin(place, make, tmp_path):
    bow = [(200, 20), (400, 360), (400, 20), (200, 360)]
    with pytest.warns(UserWarning, match="not valid"):
        land = read_static_maps(make.configuration(place, zones=parcels(tmp_path, bow)), CATALOG)
    assert land.origin["zones"]["repaired"] == 1 and land.origin["zones"]["repaired_ha"] == pytest.approx(3.4)
    json.dumps(land.origin)


def test_a_region_without_a_plant_type_is_refused_before_its_terrain_is_read(place, make, tmp_path):
    nothing = CATALOG | {"worldcover": CATALOG["worldcover"].model_copy(update={"classes": {10: "MF"}})}
    config = make.configuration(place, terrain={"dataset": "copernicus-dem-glo30", "place": str(tmp_path / "none.tif")})
    with pytest.warns(UserWarning, match="masked"), pytest.raises(ValueError, match="no pixel of region `made-up` has a plant type"):
        read_static_maps(config, nothing)
