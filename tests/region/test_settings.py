"""Slips of a user that are refused before any work, with the value and the cure."""

from datetime import date

import numpy as np
import pytest

from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.time import parse_day

MADE = {
    "period": lambda days: Period(*days),
    "draws": lambda draws: Draws(**draws) if isinstance(draws, dict) else draws,
}  # fmt: skip
"""Settings that are objects, made where the slip should be seen."""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(period=("01/06/2018", None)), r"start `01/06/2018` is not a day of the calendar; write YYYY-MM-DD"),
        (dict(period=("2018", None)), r"start `2018` is not a day"),
        (dict(period=(None, "2018-06")), r"end `2018-06` is not a day"),
        (dict(period=(None, "NaT")), r"end `NaT` is not a day"),
        (dict(period=("2018-06-10", "2018-06-01")), r"last day, 2018-06-01, is before the first one, 2018-06-10"),
        (dict(draws=0), r"draws `0` is not a whole number from 1"),
        (dict(draws=2.5), r"draws `2.5` is not a whole number"),
        (dict(draws={"effect_length": -5.0}), r"effect_length `-5.0` is not a distance above 0 m"),
        (dict(within=["soil_capacity"]), r"does not know the range of `soil_capacity`"),
    ],
)
def test_a_slip_is_refused_before_any_work(tmp_path, region_path, make_posterior, settings, said):
    with pytest.raises(ValueError, match=said):
        region = open_region(region_path).within(*settings.pop("within", ()))
        made = {name: MADE[name](value) for name, value in settings.items() if name in MADE}
        map_region(make_posterior(), region, tmp_path / "run", **settings | made)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_where_the_run_folder_should_be(tmp_path, region_path, make_posterior, below):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="notes.txt is a file, "):
        map_region(make_posterior(), region_path, tmp_path / "notes.txt" / below)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("value", ["2018-06-01", date(2018, 6, 1), np.datetime64("2018-06-01"), "2018-06-01T12:00"])
def test_a_day_in_any_form(value):
    assert parse_day(value, "start") == date(2018, 6, 1)
