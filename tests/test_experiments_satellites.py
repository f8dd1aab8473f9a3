"""The parts of E14 and E15 that a result rests on; the fits themselves take an hour."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.process import stress

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments"))

import drought2018  # noqa: E402
import e14_satellites as e14  # noqa: E402
import e15_scale as e15  # noqa: E402
import e20_signs as e20  # noqa: E402


def test_rows_of_e14_differ_by_what_their_names_say():
    models = {name: make() for name, make in e14.HYBRIDS.items()}
    for name, model in models.items():
        needs = set(model.needs())
        assert ("nirv" in needs, "lswi" in needs, "cci" in needs) == ("NIRv" in name, "LSWI" in name, "CCI" in name), name
        assert ("fapar" in needs) == ("FPAR" in name) and (stress.ACCLIMATION in model.memory) == ("acclimation" in name), name


def test_compositions_of_e20_differ_by_signs_alone_and_what_they_cost_in_droughts_is_a_difference_of_rmse():
    signed, free = e20.compositions().values()
    assert {name for name in free.sources if to_spec(signed)["sources"][name] != to_spec(free)["sources"][name]} == {"light_use_efficiency"}
    assert to_spec(signed)["sources"]["light_use_efficiency"]["source"]["falling"] == ["vpd"]
    rows = [(model, site, "NEE", n, rmse + (model == e20.SIGNED) * 0.5) for model in (e20.SIGNED, e20.FREE)
            for site, n, rmse in (("A", 30, 1.0), ("B", 10, 1.0), ("C", 0, np.nan))]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "site", "variable", "n", "rmse"])
    assert e20.dry_cost(table, "NEE") == "+0.500 (+0.500 to +0.500)"


def test_near_infrared_and_red_follow_from_two_indices():
    rng = np.random.default_rng(0)
    nir = rng.uniform(0.05, 0.6, 200)
    red = rng.uniform(0.01, 0.95, 200) * nir
    found = e15.nir_and_red((nir - red) / (nir + red), 2.5 * (nir - red) / (nir + 2.4 * red + 1))
    np.testing.assert_allclose(found, (nir, red), rtol=1e-9)


def made_pairs(offset, slope, towers=12, each=60, noise=0.03, between=0.02, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.02, 0.4, (towers, each))
    coarse = offset + slope * true + between * rng.standard_normal((towers, 1)) + 0.02 * rng.standard_normal(true.shape)
    site = np.repeat([f"T{number:02d}" for number in range(towers)], each)
    fine = true + noise * rng.standard_normal(true.shape)
    day = np.tile(pd.date_range("2017-01-01", periods=each), towers)
    return pd.DataFrame({"site": site, "igbp": "CRO", "day": day, "nirv_10m": fine.ravel(), "nirv_1km": coarse.ravel()})


def test_a_line_with_errors_in_variables_is_recovered_with_its_error(monkeypatch):
    """Least squares would be too flat by the noise of the view; the 95 % intervals of twenty made worlds hold the truth."""
    monkeypatch.setattr(e15, "RESAMPLED", 100)
    noise = e15.SMOOTHER["nirv"].view_sd
    slopes, inside = [], []
    for seed in range(20):
        pairs = made_pairs(0.05, 0.6, noise=noise, seed=seed)
        line = e15.line(pairs, "nirv")
        slopes.append(line.slope)
        inside.append(abs(line.slope - 0.6) < 2 * line.slope_sd and abs(line.offset - 0.05) < 2 * line.offset_sd)
    plain = np.polyfit(pairs.nirv_10m, pairs.nirv_1km, 1)[0]
    assert np.mean(slopes) == pytest.approx(0.6, abs=0.006) and plain < 0.59
    assert np.mean(inside) >= 0.7 and line.residual_sd == pytest.approx(0.02, abs=0.01)


def made_sequences(start, end, places):
    days = np.arange(np.datetime64(start), np.datetime64(end) + 1)
    shape = (len(days), len(places))
    tair = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    where = np.full(len(places), 50.0)
    return Sequences(places, days, {"tair": tair, "plant_type": np.arange(len(places))}, {"nee": tair.copy()}, {}, where, where)


def test_a_target_counts_where_its_satellite_saw_and_in_its_period_only():
    weather = made_sequences("2015-01-01", "2018-12-31", ("A", "B", "C"))
    late = weather.days >= np.datetime64("2017-01-01")
    days = pd.date_range("2017-03-01", "2018-06-30")
    series = {place: pd.Series(np.linspace(0.1, 0.3, len(days)), days) for place in ("C", "A")}
    series["A"].iloc[10:20] = np.nan
    here = e15.seen(weather, series, late)
    assert here.places == ("A", "C") and here.days[0] == np.datetime64("2016-01-02"), "a year of weather before, and no more"
    counted = np.isfinite(here.targets["nee"])
    assert counted.sum(axis=0).tolist() == [len(days) - 10, len(days)]
    at = here.days == np.datetime64("2017-05-01")
    assert here.targets["nee"][at, 1] == weather.targets["nee"][weather.days == np.datetime64("2017-05-01"), 2]
    assert np.isfinite(here.drivers["nirv"]).all()
    assert here.drivers["nirv_top"] == pytest.approx([0.29, 0.29], abs=0.002)


def test_a_tower_seen_by_two_instruments_is_two_places_with_its_own_days():
    early, late = made_sequences("2010-01-01", "2010-03-01", ("A", "B")), made_sequences("2012-01-01", "2012-02-01", ("B",))
    both = e15.together([early, late])
    assert both.places == ("A@0", "B@0", "B") and (both.days[0], both.days[-1]) == (early.days[0], late.days[-1])
    nee = both.targets["nee"]
    np.testing.assert_array_equal(nee[: len(early.days), :2], early.targets["nee"])
    np.testing.assert_array_equal(nee[-len(late.days) :, 2:], late.targets["nee"])
    assert np.isfinite(nee).sum() == early.targets["nee"].size + late.targets["nee"].size
    assert np.isfinite(both.drivers["tair"]).all() and both.drivers["plant_type"].tolist() == [0, 1, 0]


def test_the_usual_summer_takes_the_departure_of_the_drought_away():
    days = pd.date_range("2014-01-01", "2019-12-31")
    series = pd.Series(0.3, days).where(~((days.year == 2018) & days.month.isin((6, 7, 8))), 0.25)
    assert drought2018.departure(drought2018.summer_means(series)) == pytest.approx(-0.05)
    assert drought2018.departure(drought2018.summer_means(series["2017":])) is None, "two other summers are too few"
    rows = {"index": ["ndvi", "nirv", "lswi"], "land_cover": "GRA", "mean": [-0.02, -0.05, -0.1]}
    seen = pd.DataFrame(rows).set_index(["land_cover", "index"])
    assert drought2018.usual_vegetation(seen, "GRA", line=False)["nirv"] == "+0.0500@2018-06-01:2018-08-31"
    to_fapar = load_catalog()[drought2018.FAPAR_LIKE].lines["ndvi"]["GRA"].slope
    assert drought2018.usual_vegetation(seen, "GRA", line=True)["fapar"] == f"{0.02 * to_fapar:+.4f}@2018-06-01:2018-08-31"
    slope = load_catalog()[drought2018.LIKE].lines["nirv"]["all"].slope
    assert float(drought2018.usual_vegetation(seen, "GRA", line=True)["nirv"].partition("@")[0]) == pytest.approx(0.05 * slope, abs=1e-4)


def test_the_catalog_has_the_lines_of_the_page(shared):
    """What stands in the catalog is what the pairs of the towers give."""
    if not (shared / "data" / "towers" / "reflectance").is_dir():
        pytest.skip("no reflectance of towers")
    pairs = e15.matched(shared / "data" / "towers")
    assert pairs.site.nunique() == 19
    for index in e15.INDICES:
        stored = load_catalog()[e15.TARGET].lines[index]["all"]
        assert (stored.offset, stored.slope) == pytest.approx(e15.fitted(pairs, index), abs=6e-4), index


def test_e17_scores_what_its_rows_say(tmp_path):
    """Averages are of the parts they name; a fold of a run before is read, not fitted again."""
    import e17_members as e17

    shape, test = (5, 2), SimpleNamespace(places=("FR-Pue", "DE-Tha"))
    for number, part in enumerate(e17.PARTS):
        np.savez(tmp_path / e17.file_of(0, part, test.places, e17.SMOKE), **{flux: np.full(shape, float(number)) for flux in e17.CARBON})
    found = e17.fold(tmp_path, 0, None, test, e17.SMOKE)
    assert {part: float(fluxes["nee"].mean()) for part, fluxes in found.items()} == dict(zip(e17.PARTS, range(5), strict=True))
    assert {name for pair in e17.MEANS.values() for name in pair} <= set(e17.PARTS) and set(e17.ROWS) == {*e17.PARTS, *e17.MEANS}
