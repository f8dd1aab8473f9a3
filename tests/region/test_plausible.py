"""A region held against the declared ranges: right ones pass, faults of whole stores are noticed, seasons follow the latitude."""

import dataclasses
import shutil

import numpy as np
import pytest
import zarr

from hybridflux.ingest.region_report import check
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.drivers.plausible_drivers import findings, some_tiles, vegetation_courses, warn_of_implausible, worst
from hybridflux.region.drivers.ranges import FORESTS, NUMBERS, VEGETATION, Range, usual_co2
from hybridflux.region.map import plan_map
from hybridflux.region.store.checksums import accept
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES, UNVEGETATED

SOUTH = Grid("EPSG:32755", 600_000.0, 6_000_000.0, 10.0, (24, 20), 10)  # 36 degrees south


def levels(found):
    return {one.what.split(",")[0]: one.level for one in found}


def spoiled(region_path, tmp_path, name, change):
    path = shutil.copytree(region_path, tmp_path / "spoiled.zarr")
    group = zarr.open_group(path, mode="r+")
    group[name][...] = change(group[name][...])
    accept(path)
    return path


def test_ranges_are_declared_whole():
    for name, bands in VEGETATION.items():
        assert {*bands} == {*PLANT_TYPES} - UNVEGETATED, name
        for band in bands.values():
            assert len(band.low) == len(band.high) == 12 and (np.array(band.low) < np.array(band.high)).all()
    assert all(row.wrong_low <= row.low < row.high <= row.wrong_high and row.source for row in NUMBERS.values())
    # NOAA GML, global annual means
    assert usual_co2(1990.5) == pytest.approx(354.0, abs=2) and usual_co2(2022.5) == pytest.approx(417.1, abs=2.5)


def test_a_region_as_it_should_be(region_path):
    found = findings(open_region(region_path))
    assert worst(found) == "ok", "\n".join(map(str, found))
    assert {*levels(found)} >= {f"fapar of {name}" for name in ("CRO cropland", "GRA grassland")}
    assert "compared with the usual ranges" in check(region_path).text


def test_the_course_is_the_mean_of_its_pixels(region_path):
    region = open_region(region_path)
    course = next(one for one in vegetation_courses(region, 48.7) if one.code == "DBF")
    inside = region.group["plant_type"][:] == PLANT_TYPES.index("DBF")
    july = region.days.astype("datetime64[M]").astype(int) % 12 == 6
    assert course.pixels == inside.sum()
    assert course.mean[6] == pytest.approx(unpacked(region.group["fapar"][:])[july][:, inside].mean(), rel=1e-5)


def test_images_that_hold_the_offset_are_noticed(region_path, tmp_path, make_posterior):
    """NDVI 0.51 for 0.75: the fapar of a July forest is 0.38 for 0.63. `region check` says it, and a map warns before it begins."""

    def with_offset(fapar):  # as if from an NDVI whose two bands hold 0.1 too much; fapar = 1.28 NDVI - 0.22
        ndvi = (0.78 * fapar * 1e-4 + 0.22) / 1.28  # 0.63 in July
        return np.where(fapar == -32768, fapar, np.clip(1.28 * 0.68 * ndvi - 0.22, 0, 1) * 1e4).astype(np.int16)

    path = spoiled(region_path, tmp_path, "fapar", with_offset)
    report = check(path)
    assert report.level == "wrong" and levels(report.findings)["fapar of DBF deciduous broadleaf forest"] == "wrong"
    line = next(one for one in report.findings if "DBF" in one.what)
    assert "July" in line.what and "offset" in line.hint and line.seen in report.text and "0.57 to 0.92" in report.text
    with pytest.warns(UserWarning, match="does not look like a region should.*\n.*fapar of"):
        plan_map(make_posterior(), path, draws=4, period=Period("2018-07-01", "2018-07-02"))


@pytest.mark.parametrize(
    ("name", "change", "line", "level"),
    [
        ("par", lambda v: v / 5, "PAR over PAR at the top of the atmosphere", "wrong"),  # another unit, inside the bounds
        ("vpd", lambda v: v / 10, "VPD", "wrong"),  # kPa
        ("rain", lambda v: v / 1000, "rain of a year", "wrong"),  # m
        ("rain", lambda v: 0 * v + 2, "days with more than 1 mm of rain", "odd"),  # a monthly sum spread evenly
        ("tair", lambda v: 20 - v, "warm half of the year minus the cold one", "wrong"),  # the seasons of the other hemisphere
        ("tmin", lambda v: v + 9, "days whose lowest temperature is above their mean", "wrong"),
        ("co2", lambda v: v - 60, "CO2 above the global mean of its years", "wrong"),
        ("soil_capacity", lambda v: v / 10, "plant-available water capacity", "wrong"),  # cm
        ("fapar", lambda v: v * 0 + 10_000, "fapar at 0 or 1 on days of the warm season", "wrong"),  # per cent, clipped to 1
    ],
)
def test_faults_inside_the_bounds_are_noticed(region_path, tmp_path, name, change, line, level):
    found = findings(open_region(spoiled(region_path, tmp_path, name, change)))
    said = [one for one in found if one.what.startswith(line)]
    assert level in [one.level for one in said], "\n".join(map(str, found))


def test_seasons_follow_the_latitude(make_region, tmp_path, region_path):
    """The same course is right in the north and half a year wrong in the south, and the other way round."""
    days = np.arange(np.datetime64("2017-01-01"), np.datetime64("2019-01-01"))
    path = make_region(tmp_path / "r.zarr").path
    north = open_region(path)
    south = dataclasses.replace(north, grid=SOUTH)
    assert worst(one for one in findings(north) if "DBF" in one.what) == "ok"
    wrong = levels(findings(south))
    assert wrong["fapar of DBF deciduous broadleaf forest"] == "wrong" and wrong["warm half of the year minus the cold one"] == "wrong"
    turned = dataclasses.replace(south, days=days + 181)  # the same values on days half a year later
    assert levels(findings(turned))["fapar of DBF deciduous broadleaf forest"] == "ok"


def test_few_pixels_are_odd_and_not_wrong(make_region, tmp_path):
    kinds = np.full((24, 20), PLANT_TYPES.index("GRA"))
    kinds[0, :5] = PLANT_TYPES.index("BSV")  # fapar 0.8 in July
    found = levels(findings(open_region(make_region(tmp_path / "r.zarr", plant_type=kinds).path)))
    assert found["fapar of BSV bare or sparsely vegetated"] == "odd"


def test_a_map_looks_at_a_few_tiles_and_is_silent_where_all_is_usual(region_path):
    region = open_region(region_path)
    assert 0 < len(some_tiles(region)) <= 4
    warn_of_implausible(region)  # a warning would be an error here


def test_levels():
    row = Range("x", "mm", 1, 2, 0, 3, "here")
    assert [row.level(seen) for seen in (1.5, 2.5, 4.0, -1.0, np.nan)] == ["ok", "odd", "wrong", "wrong", "wrong"]
    assert {*FORESTS} < {*PLANT_TYPES}
