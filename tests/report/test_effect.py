"""The changes of a scenario in words, for every change that can be written."""

from types import SimpleNamespace

import pytest

from hybridflux.region.drivers.driver_change import Change
from hybridflux.report.effect import describe


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rain=*0.6", "precipitation × 0.6"),
        ("tair=+2", "air temperature + 2 °C"),
        ("tair=-1.5", "air temperature − 1.5 °C"),
        ("tmin=+2", "air temperature (minimum of the day) + 2 °C"),
        ("fapar=-0.02", "share of photosynthetically active radiation absorbed by vegetation − 0.02"),
        ("rew=0.8", "relative extractable water held at 0.8"),
        ("rew=*0.6", "relative extractable water × 0.6"),
        ("vpd=typical", "vapour pressure deficit of typical days"),
        ("vpd=typical:2001-2010", "vapour pressure deficit of typical days of 2001 to 2010"),
        ("tair=climatology", "air temperature at its climatology"),
        ("tair=climatology:2001-2010", "air temperature at its climatology of 2001 to 2010"),
        ("rain=typical:2003-2003@2018-05-01:2018-09-30", "precipitation of typical days of 2003 (2018-05-01 to 2018-09-30)"),
        ("rain=*0.6@2018-05-01:", "precipitation × 0.6 (from 2018-05-01)"),
        ("rain=*0.6@:2018-09-30", "precipitation × 0.6 (until 2018-09-30)"),
    ],
)
def test_every_change_is_said_in_words(change, words):
    name, _, text = change.partition("=")
    assert str(Change.parse(name, text)) == change  # as the record of a scenario has it
    assert describe(SimpleNamespace(changes=(change,))) == words


def test_changes_stand_one_after_the_other():
    assert describe(SimpleNamespace(changes=("rain=*0.6", "rew=0.8"))) == "precipitation × 0.6, relative extractable water held at 0.8"
