"""Configurations: what ships is right, what is wrong is said with its place."""

import warnings

import numpy as np
import pytest

from hybridflux.data.catalog import REGIONS, catalog_folder, load_catalog
from hybridflux.data.weather.daily_weather import Weather
from hybridflux.ingest.config import DATA, RegionConfig, describe_regions, load_config
from hybridflux.ingest.weather_drivers import check_reach

SHIPPED = sorted(path.stem for path in (catalog_folder() / REGIONS).glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_regions_name_known_datasets_and_have_a_reader(name):
    config, catalog = load_config(name), load_catalog()
    assert config.id == name
    for part, sources in config.sources().items():
        for source in sources:
            assert catalog[source.dataset].format, f"{part}: {source.dataset} has no reader"
    assert config.vegetation.line is None or config.vegetation.index in catalog[config.vegetation.line].lines
    assert name in describe_regions()


def test_the_extent_is_that_of_the_grid():
    config = load_config("flanders-demo")
    west, south, east, north = config.extent
    assert west < 3.024 < east and south < 50.816 < north  # the place its data give
    assert len(config.period.days) == 365 + config.period.lead


def test_places_are_filled_in_or_asked_for(tmp_path):
    config = load_config("flanders-demo")
    assert DATA in config.imagery[0].place and DATA not in config.at(tmp_path).imagery[0].place
    with pytest.raises(ValueError, match="--data"):
        config.at(None)


def test_all_faults_at_once(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('id = "x"\ntitle = "X"\ncolour = "red"\n[grid]\ncrs = "EPSG:32631"\n[period]\nstart = 2019-02-01\nend = 2019-01-01\n')
    with pytest.raises(ValueError) as caught:
        load_config(path)
    for said in ("colour", "grid.west", "ends (2019-01-01) before it starts", "imagery", "soil"):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"east": 500_005.0}, "edges"),
        ({"crs": "EPSG:4326"}, "projected"),
        ({"west": 600_000.0}, "empty"),
        ({"west": 500_003.0, "east": 500_403.0}, "multiple of the pixel size"),
    ],
)
def test_grids_that_cannot_be(changes, said, make, tmp_path):
    config = make.configuration(tmp_path).model_dump()
    config["grid"] |= changes
    with pytest.raises(ValueError, match=said):
        len(RegionConfig.model_validate(config).region_grid)


def test_unknown_region_suggests():
    with pytest.raises(FileNotFoundError, match="Did you mean `flanders-demo`"):
        load_config("flanders-dmeo")


def test_a_line_or_fapar():
    parts = load_config("flanders-demo").model_dump()
    for vegetation in ({"index": "fapar"}, {"index": "ndvi", "line": None}):
        with pytest.raises(ValueError, match="line"):
            RegionConfig.model_validate(parts | {"vegetation": vegetation})


def test_days_hold_the_lead():
    days = load_config("meuse-forest").period.days
    assert days[365] == np.datetime64("2016-06-01") and days[-1] == np.datetime64("2020-06-30")


def at(middle, zone, **changes):
    """A configuration of 20 km by 400 m around an easting of a UTM zone, without `utc_offset`."""
    parts = load_config("flanders-demo").model_dump(exclude={"utc_offset"})
    frame = {"crs": f"EPSG:{zone}", "west": middle - 10_000, "east": middle + 10_000, "south": 5_000_000, "north": 5_000_400}
    return RegionConfig.model_validate(parts | {"grid": frame} | changes)


@pytest.mark.parametrize(
    ("zone", "offset"), [(32610, -8), (32719, -5), (32631, 0), (32632, 1), (32643, 5), (32756, 10), (32601, -12), (32760, 12)]
)
def test_the_standard_day_follows_the_longitude(zone, offset):
    """The central meridians: 123 W, 69 W, 3 E, 9 E, 75 E, 153 E, 177 W, 177 E."""
    config = at(500_000, zone)
    assert config.utc_offset == offset and RegionConfig.model_validate_json(config.model_dump_json()).utc_offset == offset


def test_a_declared_standard_time_is_kept():
    assert at(500_000, 32630, utc_offset=1).utc_offset == 1  # Spain, 3 degrees west: 1.2 h ahead of the sun
    assert at(500_000, 32644, utc_offset=5.5).utc_offset == at(500_000, 32644, utc_offset="UTC+05:30").utc_offset == 5.5  # India
    assert all(load_config(name).utc_offset == 1 for name in SHIPPED)


@pytest.mark.parametrize(("zone", "offset", "off"), [(32610, 8, r"\-7.8"), (32631, 6, r"\+5.8"), (32645, 8, r"\+2.2")])
def test_an_offset_that_contradicts_the_longitude_is_reported(zone, offset, off):
    """A forgotten sign in Oregon, minutes read as hours, and western China by the clock of Beijing."""
    with pytest.warns(UserWarning, match=f"utc_offset {offset} is {off} h from the sun at .* degrees east"):
        config = at(500_000, zone, utc_offset=offset)
    assert config.utc_offset == offset


@pytest.mark.parametrize("offset", [60, -13, 5.3, "CET", ""])
def test_offsets_that_no_clock_has(offset):
    with pytest.raises(ValueError, match="utc_offset"):
        at(500_000, 32631, utc_offset=offset)


def test_both_sides_of_the_date_line():
    with pytest.raises(ValueError, match="both sides of the date line"):
        at(736_000, 32660)


def test_a_coordinate_system_with_a_slip():
    with pytest.raises(ValueError, match="`EPSG:3263l` is unknown"):
        at(500_000, "3263l")


def test_weather_of_a_part_of_the_region_is_reported():
    """A file that ends 30 km west of the eastern edge; one whose cells enclose the region is silent."""
    latitude, longitude = np.meshgrid(np.linspace(44.0, 44.3, 7), np.linspace(1.0, 1.5, 11), indexing="ij")

    def weather(*columns):
        y, x = np.meshgrid([44.0, 44.1, 44.2, 44.3], columns, indexing="ij")
        return Weather(np.zeros(0, "datetime64[D]"), {}, y.ravel(), x.ravel(), np.full(y.size, np.nan))

    with pytest.warns(UserWarning, match="nearest cell is 32 km from an edge, cells are 11 km apart"):
        check_reach(weather(1.0, 1.1), latitude, longitude, 0.1, "here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_reach(weather(1.0, 1.1, 1.2, 1.3, 1.4, 1.5), latitude, longitude, 0.1, "here")
        check_reach(weather(1.0), latitude, longitude, None, "a tower")


def test_a_date_of_a_spreadsheet(tmp_path):
    text = (catalog_folder() / REGIONS / "toulouse.toml").read_text(encoding="utf-8")
    path = tmp_path / "toulouse.toml"
    path.write_text(text.replace("start = 2018-01-01", 'start = "01/06/2018"'), encoding="utf-8")
    with pytest.raises(ValueError, match="period.start: .*; it is `01/06/2018`: write YYYY-MM-DD"):
        load_config(path)
