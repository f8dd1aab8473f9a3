"""Configurations: what ships is right, what is wrong is said with its place."""

import numpy as np
import pytest

from hybridflux.data.catalog import REGIONS, catalog_folder, load_catalog
from hybridflux.ingest.config import DATA, RegionConfig, describe_regions, load_config

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
