"""Changes of drivers: what moves, what is held, and that none of them changes nothing in silence."""

import numpy as np
import pytest

from hybridflux.region.drivers.changeable import changeable, check_changes
from hybridflux.region.drivers.driver_change import Change, read_changes
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.drivers.usual_weather import usual_course, usual_rain

READ = ("tair_30d", "tmin", "rain", "vpd", "par", "fapar", "plant_type", "soil_capacity")  # by a model


def whole(region):
    return region.window(region.days[0], region.days[-1])


def put(path, climatology=(), **more):
    """A region with further weather in its store, and long-term means of it."""
    import zarr

    from hybridflux.region.store import layout

    group = zarr.open_group(path, mode="r+")
    for name, values in more.items():
        layout.put(group, name, values(group).astype(np.float32), ("time", "cell"), fill=np.nan)
    for name, values in dict(climatology).items():
        layout.put(group, f"{name}_climatology", values.astype(np.float32), ("day_of_year", "cell"), fill=np.nan)
    return open_region(path)


MORE = {"tmax": lambda of: of["tair"][:] + 6, "tair_day": lambda of: of["tair"][:] + 2, "vpd_day": lambda of: of["vpd"][:] * 1.5}


@pytest.fixture(scope="module")
def record(make_region, tmp_path_factory):
    """A region with four years of weather, every temperature and the VPD of the light hours."""
    path = make_region(tmp_path_factory.mktemp("record") / "r.zarr", days=("2016-01-01", "2019-12-31"), size=(10, 10)).path
    region = put(path, **MORE)
    assert len(region.days) == 1461
    return region


@pytest.fixture(scope="module")
def one_year(make_region, tmp_path_factory):
    """A region with one year of weather, of which the usual one was 3 K cooler and half as dry; only `tair`, `vpd` and rain say so."""
    path = make_region(tmp_path_factory.mktemp("year") / "y.zarr", days=("2018-01-01", "2018-12-31"), size=(10, 10)).path
    region = open_region(path)
    usual = {name: usual_course(region.group[name][:], region.days)[[*range(365), 364]] for name in ("tair", "vpd", "rain")}
    return put(path, {"tair": usual["tair"] - 3, "vpd": usual["vpd"] / 2, "rain": usual["rain"]}, **MORE)


def test_changes(region_path):
    region = open_region(region_path)
    changed = region.with_changes({"rain": "*0.6", "tair": "+2@2018-06-01:", "fapar": "*0.5"})
    before, after = (one.weather(("rain", "tair", "tmin", "vpd", "tair_30d"), whole(region)) for one in (region, changed))
    np.testing.assert_allclose(after["rain"], before["rain"] * 0.6, rtol=1e-6)
    june = region.days >= np.datetime64("2018-06-01")
    for name in ("tair", "tmin"):
        np.testing.assert_allclose(after[name][june], before[name][june] + 2, rtol=1e-5)
        np.testing.assert_array_equal(after[name][~june], before[name][~june])
    np.testing.assert_array_equal(after["vpd"], before["vpd"])
    np.testing.assert_allclose(after["tair_30d"][-1], before["tair_30d"][-1] + 2, rtol=1e-5)
    tile = next(region.tiles())
    a, b = (read_tile(one, tile, ("fapar",), whole(region)) for one in (region, changed))
    a, b = (unpacked(one.daily["fapar"])[:, one.pixel] for one in (a, b))
    np.testing.assert_allclose(b, a * 0.5, rtol=1e-6)


@pytest.mark.parametrize("text", ["+2", "climatology"])
def test_all_temperatures_of_a_day_move_together(record, text):
    """The course of a day stays: tmin, tmax, night and day by the same difference as the mean, and VPD is held."""
    names = ("tair", "tmin", "tmax", "tair_night", "tair_day", "vpd")
    before, after = (one.weather(names, whole(record)) for one in (record, record.with_changes({"tair": text})))
    moved = after["tair"] - before["tair"]
    assert np.abs(moved).max() > 1
    for name in names[1:5]:
        np.testing.assert_allclose(after[name] - before[name], moved, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(after["vpd"], before["vpd"])


def test_vpd_of_the_light_hours_moves_with_vpd(record):
    changed = record.with_changes({"vpd": "*1.2"})
    before, after = (one.weather(("vpd", "vpd_day"), whole(record)) for one in (record, changed))
    for name in ("vpd", "vpd_day"):
        np.testing.assert_allclose(after[name], before[name] * 1.2, rtol=1e-5)


@pytest.mark.parametrize("form", ["typical", "climatology"])
def test_what_has_no_climatology_moves_with_what_has_one(one_year, form):
    """By the difference of the daily mean, or the factor of VPD, though the record is too short to say what is usual."""
    names = ("tair", "tmin", "tmax", "tair_night", "tair_day", "vpd", "vpd_day")
    usual = one_year.with_changes({"tair": form, "vpd": form})
    before, after = ({name: v.mean(axis=0) for name, v in one.weather(names, whole(one)).items()} for one in (one_year, usual))
    np.testing.assert_allclose(after["tair"] - before["tair"], -3, atol=0.1)
    np.testing.assert_allclose(after["vpd"] / before["vpd"], 0.5, atol=0.02)
    for name in names[1:5]:
        np.testing.assert_allclose(after[name] - before[name], after["tair"] - before["tair"], atol=1e-3, err_msg=name)
    np.testing.assert_allclose(after["vpd_day"] / before["vpd_day"], after["vpd"] / before["vpd"], rtol=1e-3)


def test_what_moves_along_keeps_a_climatology_of_its_own(make_region, tmp_path):
    region = open_region(make_region(tmp_path / "y.zarr", days=("2018-01-01", "2018-12-31"), size=(10, 10)).path)
    course = {name: usual_course(region.group[name][:], region.days)[[*range(365), 364]] for name in ("tair", "tmin")}
    region = put(region.path, {"tair": course["tair"] - 3, "tmin": course["tmin"] - 5})
    before, after = (one.weather(("tair", "tmin"), whole(one)) for one in (region, region.with_changes({"tair": "typical"})))
    for name, moved in (("tair", -3), ("tmin", -5)):
        np.testing.assert_allclose((after[name] - before[name]).mean(), moved, atol=0.1)


@pytest.mark.parametrize("form", ["typical", "climatology"])
def test_years_that_are_named_are_of_the_record_also_where_a_climatology_came_with_the_region(one_year, form):
    """They were not listened to, even where the record has none of them."""
    named, whole_year = one_year.with_changes({"tair": f"{form}:2018"}), whole(one_year)
    before, after = (one.weather(("tair",), whole_year)["tair"] for one in (one_year, named))
    np.testing.assert_allclose(after.mean(), before.mean(), atol=0.2)  # the climatology is 3 K cooler
    with pytest.raises(ValueError, match="has 0.0 years of tair in 1950 to 1960"):
        one_year.with_changes({"tair": f"{form}:1950-1960"}).weather(("tair",), whole_year)


def test_usual_rain_keeps_wet_and_dry_days(record):
    """The mean sum of each month and cell, on as many days as it rains in a year; the mean of a day would rain every day."""
    before, after = (
        one.weather(("rain",), whole(record))["rain"] for one in (record, record.with_changes({"rain": "climatology"}))
    )
    wet = [(values > 1).mean() for values in (before, after)]
    assert abs(wet[1] - wet[0]) < 0.04 and (after < 0.1).mean() == pytest.approx((before < 0.1).mean(), abs=0.05)
    assert (usual_course(before, record.days) > 1).mean() > 2 * wet[0]
    month = record.days.astype("datetime64[M]").astype(int) % 12
    np.testing.assert_allclose(after[month == 6].mean(axis=0), before[month == 6].mean(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(after[:59], after[366 : 366 + 59])  # the same January and February every year
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), rtol=2e-3)  # but for a dry 29th of February


def test_usual_rain_takes_a_climatology_that_is_given(record):
    rain = record.weather(("rain",), whole(record))["rain"]
    given = np.full((366, rain.shape[1]), 3.0)
    usual = usual_rain(rain, record.days, given)
    assert usual[:365].mean() == pytest.approx(3.0, rel=1e-2) and (usual < 0.1).mean() > 0.15
    with pytest.raises(ValueError, match="no whole month 2"):
        usual_rain(rain[:40], record.days[:40], given)


def test_climatology_needs_years(region_path):
    region = open_region(region_path).with_changes({"vpd": "climatology"})
    with pytest.raises(ValueError, match="has 2.0 years of vpd and a climatology takes 3"):
        region.weather(("vpd",), whole(region))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rain", "0.6*", "is not a change"), ("rain", "*x", "is not a change"), ("rain", "+inf", "is not a change"),
        ("rian", "*2", "Did you mean `rain`"), ("tair", "*2", "shift it"), ("rain", "*0.5@May", "is not a change"),
        ("rain", "*0.5@2018", "until then"), ("rain", "*0.5@2018-05-01", "from then on"), ("rain", "*0.5@", "is not a change"),
        ("rain", "*0.5@2018-02-30:", "is not a change"), ("rain", "*0.5@2018-09-01:2018-05-01", "ends before it begins"),
        ("fapar", "typical", "weather has typical days"),
        ("rain", "*1", "changes nothing"), ("tair", "+0", "changes nothing"), ("rain", "*-0.5", "no negative factor"),
    ],
)  # fmt: skip
def test_wrong_changes(name, text, said):
    with pytest.raises(ValueError, match=said):
        Change.parse(name, text)


@pytest.mark.parametrize("text", ["*0.6", "-1.5", "+2", "*0.1234567891", "climatology@:2018-09-30", "*0.6@2018-05-01:"])
def test_a_change_is_read_again_as_it_is_written(text):
    change = Change.parse("rain", text)
    assert str(change) == f"rain={text}" and Change.parse(*str(change).split("=", 1)) == change


def test_two_forms_of_one_driver():
    with pytest.raises(ValueError, match="`tmin` is already changed by `tair=\\+2`"):
        read_changes({"tmin": "+1", "tair": "+2"})
    assert len(read_changes({"tmin": "+1", "tmax": "+2"})) == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tmax", "+2", "does not have it; what can be changed here is tair, tmin, par, vpd, rain, fapar"),
        ("co2", "+100", "the model does not read it; what can be changed here is tair"),
        ("ndvi", "*0.9", "does not have it"),
        ("rain", "*0.6@2021-01-01:2021-06-30", "would change nothing: the run, spin-up included, is of 2017-01-01 to 2018-12-31"),
        ("fapar", "climatology", "has 2.0 years of fapar and a climatology takes 3"),
        ("vpd", "climatology", "climatology takes 3"),
        ("fapar", "+5", "every value at a bound"),
        ("vpd", "-100", "every value at a bound"),
    ],
)
def test_a_change_that_changes_nothing_is_refused(region_path, name, text, said):
    region = open_region(region_path).with_changes({name: text})
    with pytest.raises(ValueError, match=said):
        check_changes(region, READ, region.days)


@pytest.mark.parametrize(("name", "text"), [("fapar", "*1.5"), ("rain", "-2"), ("vpd", "-5")])
def test_values_kept_at_a_bound_are_reported(region_path, name, text):
    region = open_region(region_path).with_changes({name: text})
    with pytest.warns(UserWarning, match=rf"`{name}=.* % of the values would leave 0 to .*; the mean goes from .* to .*, not to"):
        check_changes(region, READ, region.days)


def test_tair_can_be_changed_where_only_tmin_is_read(region_path):
    region = open_region(region_path)
    assert changeable(region, ("tmin", "plant_type")) == ["tair", "tmin"]
    check_changes(region.with_changes({"tair": "+2"}), ("tmin",), region.days)


def test_a_map_and_a_scenario_refuse_before_they_begin(region_path, make_posterior, tmp_path):
    from hybridflux.products.scenario import run_scenario
    from hybridflux.region.map import map_region

    with pytest.raises(ValueError, match="co2=\\+100` would change nothing: the model does not read it"):
        map_region(make_posterior(), open_region(region_path).with_changes({"co2": "+100"}), tmp_path / "run", draws=4)
    with pytest.raises(ValueError, match="vpd_day=\\*2` would change nothing"):
        run_scenario(make_posterior(), region_path, {"vpd_day": "*2"}, tmp_path / "scenario", draws=4)
    assert not list(tmp_path.iterdir())
