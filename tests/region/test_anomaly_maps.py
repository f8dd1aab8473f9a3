"""Anomalies and trends of each pixel: by hand from the draws, the same sums as the zones, refused where years are not whole."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from hybridflux.products.totals import open_totals
from hybridflux.records import run_record
from hybridflux.region.drivers.calendar import Calendar, Period
from hybridflux.region.kernels.contract import Static
from hybridflux.region.map import map_region
from hybridflux.region.outputs import AnomalyMaps, TrendMaps, ZoneTotals
from hybridflux.region.run.keep import read

DAYS = np.arange(np.datetime64("2016-01-01"), np.datetime64("2019-01-01"))


@pytest.mark.parametrize(("reference", "chosen"), [((), [0, 1, 2]), ((2016, 2017), [0, 1]), ("2017", [1])])
def test_statistics_of_the_anomalies_of_each_draw(reference, chosen):
    output, rng = AnomalyMaps(reference, (0.05, 0.5)), np.random.default_rng(0)
    sums = {name: rng.gamma(2.0, 20.0, (36, 7, 5)).astype("f") for name in ("gpp", "reco")}
    static = Static(7, 5, len(DAYS), ((0, 12), (12, 24), (24, 36)), (), (), (), (output,), (2016, 2017, 2018))
    found = output.end((), {}, {name: jnp.asarray(one) for name, one in sums.items()}, static)
    yearly = {name: one.reshape(3, 12, 7, 5).sum(1) for name, one in sums.items()}
    yearly["nee"] = yearly["reco"] - yearly["gpp"]
    for name, one in yearly.items():
        departure, key = one - one[chosen].mean(0), f"annual/{name.upper()}_anomaly"
        np.testing.assert_allclose(found[key], departure.mean(1), atol=1e-2)
        np.testing.assert_allclose(found[f"{key}_sd"], departure.std(1, ddof=1), rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(found[f"{key}_q05"], np.quantile(departure, 0.05, axis=1), atol=1e-2)
        np.testing.assert_allclose(np.asarray(found[key])[chosen].sum(0), 0.0, atol=1e-2)


def test_statistics_of_the_trend_of_each_draw():
    output, rng, years = TrendMaps((0.05, 0.5)), np.random.default_rng(0), (2014, 2015, 2016, 2017, 2018)
    sums = {name: rng.gamma(2.0, 20.0, (60, 7, 5)).astype("f") for name in ("gpp", "reco")}
    months = tuple((12 * year, 12 * year + 12) for year in range(5))
    static = Static(7, 5, 1826, months, (), (), (), (output,), years)
    found = output.end((), {}, {name: jnp.asarray(one) for name, one in sums.items()}, static)
    yearly = {name: one.reshape(5, 12, 7, 5).sum(1) for name, one in sums.items()}
    yearly["nee"] = yearly["reco"] - yearly["gpp"]
    for name, one in yearly.items():
        slope, key = np.polyfit(np.arange(5.0), one.reshape(5, -1), 1)[0].reshape(7, 5), f"record/{name.upper()}_trend"
        np.testing.assert_allclose(found[key], slope.mean(0)[None], atol=1e-2)
        np.testing.assert_allclose(found[f"{key}_sd"], slope.std(0, ddof=1)[None], rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(found[f"{key}_q05"], np.quantile(slope, 0.05, axis=0)[None], atol=1e-2)
        np.testing.assert_allclose(found[f"{key}_rising"], (slope > 0).mean(0)[None], atol=1e-6)


def test_pixels_add_up_to_the_anomalies_and_the_trend_of_their_zones(make_region, make_posterior, tmp_path):
    region = make_region(tmp_path / "small.zarr", size=(6, 5), tile=5, days=("2013-01-01", "2018-12-31")).path
    keep, period = (ZoneTotals(), AnomalyMaps(quantiles=()), TrendMaps(quantiles=())), Period("2014-01-01", "2018-12-31")
    map_region(make_posterior(draws=4), region, tmp_path / "run", draws=4, period=period, keep=keep)
    totals = open_totals(tmp_path / "run")
    yearly = [totals.sum("NEE", np.arange(len(totals.area)), totals.months.year == year) for year in range(2014, 2019)]
    yearly = np.array(yearly) / totals.area.sum()
    with xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="annual") as annual:
        anomaly, anomaly_stage = annual["NEE_anomaly"].load(), annual.attrs["stage"]
        assert annual["NEE_anomaly_sd"].max() > 0 and "minus the mean of 2014-2018" in anomaly.attrs["long_name"]
    mapped = anomaly.mean(("y", "x")).values  # a water pixel, if any, is missing in both
    np.testing.assert_allclose(mapped, yearly.mean(1) - yearly.mean(), atol=0.2)
    with xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="record") as record:
        trend = record["NEE_trend"].load()
        assert trend.attrs["units"] == "g m-2 year-2" and "trend over 2014-2018" in trend.attrs["long_name"] and record["days"] == 1826
        assert record["NEE_trend_sd"].max() > 0 and set(np.unique(record["NEE_trend_rising"].fillna(0))) <= {0, 0.25, 0.5, 0.75, 1}
    assert float(trend.mean()) == pytest.approx(np.polyfit(np.arange(5.0), yearly.mean(1), 1)[0], abs=0.06)  # a step of the store is .05
    assert all((tmp_path / "run" / "cog" / f"NEE_{name}.tif").exists() for name in ("anomaly_annual_2018", "trend_record_2014-2018"))
    assert run_record(tmp_path / "run")["stage"] == anomaly_stage == "prior"


def test_what_anomalies_need_is_said():
    whole, part = (Calendar.of(DAYS, np.datetime64(first), DAYS[-1]) for first in ("2016-01-01", "2016-03-01"))
    assert read("AnomalyMaps=2016:2017") == AnomalyMaps((2016, 2017))
    assert len(list(AnomalyMaps().arrays(whole))) == 15
    for output, calendar, why in (
        (AnomalyMaps(), part, "whole calendar years, and the run maps 2016-03-01 to 2018-12-31; map two whole years or more"),
        (TrendMaps(), whole, "TrendMaps compares whole calendar years, and the run maps 2016-01-01 to 2018-12-31; map five whole years or"),
        (AnomalyMaps("2010:2017"), whole, "needs 2010, 2011, .*, and the run maps 2016, 2017, 2018; name years among these"),
    ):
        with pytest.raises(ValueError, match=why):
            list(output.arrays(calendar))
    with pytest.raises(ValueError, match="the reference period `2016-2018` of AnomalyMaps is not understood; write 2016:2020"):
        AnomalyMaps("2016-2018")
    with pytest.raises(ValueError, match="period `2019:2017` of AnomalyMaps is not a period; write 2016:2020, the first year first"):
        read("AnomalyMaps=2019:2017")
    assert AnomalyMaps("2017:2017").reference == (2017, 2017)
