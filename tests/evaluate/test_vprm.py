"""VPRM against values computed by hand, in both units of radiation, and its refit."""

import math

import numpy as np
import pytest

from hybridflux.evaluate.baselines import VPRM, RefittedVPRM
from hybridflux.evaluate.baselines.diurnal import hourly_shortwave, hourly_temperature
from hybridflux.evaluate.baselines.refit import ALL
from hybridflux.evaluate.baselines.vprm import Hours, daily_fluxes, evi_of, hours_of, run, temperature_scalar
from hybridflux.evaluate.baselines.vprm_tables import CLASS_OF, NEAREST, TABLES, TEMPERATURES, Rates, rates_of
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PLANT_TYPES
from tests.reference import rows

DAYS = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
GC = 12.011e-6 * 86400


def towers(codes, seed=0, noise=0.0, rates=None):
    """Weather of temperate towers; NEE of VPRM with the rates of each class plus noise."""
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), len(codes))
    season = np.sin(2 * np.pi * (np.arange(len(DAYS)) - 100) / 365)[:, None]
    drivers = {
        "tair": 10 + 9 * season + 3 * rng.normal(size=shape),
        "par": np.clip(5.5 + 4 * season + 2 * rng.normal(size=shape), 0.3, None),
        "day_fraction": np.broadcast_to(0.5 + 0.17 * season, shape),
        "fapar": np.clip(0.5 + 0.35 * season + 0.03 * rng.normal(size=shape), 0.02, 0.95),
    }
    drivers["tmin"] = drivers["tair"] - 5 - rng.random(shape)
    drivers["plant_type"] = np.array([PLANT_TYPES.index(code) for code in codes])
    bare = Sequences(tuple(f"S{at}" for at in range(len(codes))), DAYS, drivers, {}, {})
    targets = {} if rates is None else run(bare, "par", lambda vegetation: rates[vegetation])
    if rates is not None:
        targets["nee"] = targets["nee"] + noise * rng.normal(size=shape)
    return Sequences(bare.places, DAYS, drivers, targets, {})


@pytest.mark.parametrize(
    ("table", "vegetation", "radiation"),
    [("EU2007", "Crop", 400.0), ("pyVPRM_modis", "Crop", 400.0 / 0.505)],
)
def test_one_hour_by_hand_in_the_units_of_each_table(table, vegetation, radiation):
    # noon of 400 W m-2 at 22 degC over an EVI of 0.6; Crop: T_s = (25)(-28) / ((25)(-28) - 36) = 0.95109
    ts = (22 + 3) * (22 - 50) / ((22 + 3) * (22 - 50) - (22 - 16) ** 2)
    (row,) = (row for row in rows("vprm_rates.csv") if (row["table"], row["vegetation"]) == (table, vegetation))
    par0, efficiency, alpha, beta = (row[name] for name in ("par0", "efficiency", "alpha", "beta"))
    gpp = efficiency * ts * 0.6 * radiation / (1 + radiation / par0) * GC
    reco = (alpha * 22 + beta) * GC
    assert float(temperature_scalar(np.array(22.0), TEMPERATURES["Crop"])) == pytest.approx(ts) == pytest.approx(0.95109, abs=1e-5)
    hours = Hours(np.full(24, radiation), np.full(24, ts * 0.6), np.full(24, 22.0))
    found = daily_fluxes(hours, rates_of(TABLES[table], vegetation))
    assert [float(each) for each in found] == pytest.approx([gpp, reco], rel=1e-6)
    assert gpp == pytest.approx({"EU2007": 15.10, "pyVPRM_modis": 23.01}[table], abs=0.01)


def test_each_table_sees_its_own_radiation():
    place = towers(["CRO"])
    shortwave, par = hours_of(place, "shortwave")[1], hours_of(place, "par")[1]
    np.testing.assert_allclose(par.radiation * 0.505, shortwave.radiation)
    np.testing.assert_allclose(shortwave.radiation.mean(axis=-1), place.drivers["par"][:, 0] / 0.45 * 1e6 / 86400, rtol=1e-6)
    assert {name: table.radiation for name, table in TABLES.items()} == {
        "EU2007": "shortwave", "pyVPRM_sentinel2": "par", "pyVPRM_modis": "par", "Mahadevan2008_Europe": "shortwave",
        "Mahadevan2008_US": "shortwave", "Gourdji2022": "par",
    }  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_no_table_passes_twice_what_leaves_can_fix(table):
    """Per unit of absorbed PAR, FAPAR about 1.36 EVI, lambda stays below twice the 0.08 of leaves in dim light; a wrong unit does not.

    The mixed forest of pyVPRM on MODIS (0.28) is beyond that as published.
    """
    factor = 0.505 if TABLES[table].radiation == "shortwave" else 1.0
    for vegetation, rates in TABLES[table].rates.items():
        if (table, vegetation) != ("pyVPRM_modis", "Mixed"):
            assert 0.02 < rates.efficiency * factor / 1.36 < 0.16, vegetation


def test_a_day_by_hand_from_its_drivers():
    shape = (3, 1)
    drivers = {
        "tair": np.full(shape, 14.0), "tmin": np.full(shape, 14.0), "par": np.full(shape, 7.776), "day_fraction": np.full(shape, 0.5),
        "fapar": np.full(shape, 0.7), "plant_type": np.array([PLANT_TYPES.index("ENF")]),
    }  # fmt: skip
    place = Sequences(("S0",), DAYS[:3], drivers, {}, {})
    found = VPRM("EU2007").predict(place)
    angles = [math.pi * (hour + 0.5 - 12) / 12 for hour in range(24)]
    heights = [max(math.cos(angle), 0.0) for angle in angles]
    light = [200.0 * 24 * height / sum(heights) for height in heights]  # 7.776 MJ m-2 d-1 of PAR are 200 W m-2
    ts = (14 + 4) * (14 - 38) / ((14 + 4) * (14 - 38) - 1)
    evi = (0.7 + 0.048) / 1.3632
    gpp = GC * sum(0.2258 * ts * evi * each / (1 + each / 275.5) for each in light) / 24
    reco = GC * (0.288 * 14 - 1.09)
    np.testing.assert_allclose(found["gpp"], gpp, rtol=1e-6)
    np.testing.assert_allclose(found["reco"], reco, rtol=1e-6)
    np.testing.assert_allclose(found["nee"], reco - gpp, rtol=1e-6)


def test_hours_keep_the_day():
    par, share = np.array([4.0, 9.0, 0.0]), np.array([0.3, 0.68, 0.0])
    light = hourly_shortwave(par, share)
    np.testing.assert_allclose(light.mean(axis=-1), par / 0.45 * 1e6 / 86400)
    np.testing.assert_array_equal((light > 0).sum(axis=-1), [8, 16, 0])  # 7.2 and 16.3 h, whole hours whose middle is sunlit
    assert light[:, 11:13].min(axis=-1) == pytest.approx(light.max(axis=-1))
    warmth = hourly_temperature(np.array([10.0, -3.0]), np.array([4.0, -1.0]))
    np.testing.assert_allclose(warmth.mean(axis=-1), [10.0, -3.0])
    assert warmth[0].min() == pytest.approx(4.0, abs=0.1) and np.ptp(warmth[1]) == 0.0  # a minimum above the mean is no swing


def test_hourly_run_differs_from_a_run_on_daily_means():
    place = towers(["DBF"])
    vegetation, hours = hours_of(place, "par")
    hourly = daily_fluxes(hours, rates_of(TABLES["pyVPRM_modis"], vegetation))[0]
    flat = Hours(*(np.repeat(each.mean(axis=-1, keepdims=True), 24, -1) for each in (hours.radiation, hours.canopy, hours.warmth)))
    daily = daily_fluxes(flat, rates_of(TABLES["pyVPRM_modis"], vegetation))[0]
    assert hourly.sum() < 0.85 * daily.sum()  # light saturates within the day


def test_canopy_of_a_deciduous_forest_rises_and_an_evergreen_one_is_evi_alone():
    for code, factor in (("DBF", 0.5), ("ENF", 1.0)):
        place = towers([code])
        _, hours = hours_of(place, "par")
        warmth = hourly_temperature(place.drivers["tair"][:, 0], place.drivers["tmin"][:, 0])
        scalar = temperature_scalar(warmth, TEMPERATURES[CLASS_OF[code]])
        fapar = place.drivers["fapar"][:, 0]
        ratio = np.divide(hours.canopy, scalar * evi_of(fapar)[:, None], out=np.full(scalar.shape, np.nan), where=scalar > 1e-3)
        bottom, top = fapar <= np.quantile(fapar, 0.05), fapar >= np.quantile(fapar, 0.95)
        np.testing.assert_allclose(ratio[bottom][np.isfinite(ratio[bottom])], factor, rtol=1e-6)
        np.testing.assert_allclose(ratio[top][np.isfinite(ratio[top])], 1.0, rtol=1e-6)


def test_every_plant_type_has_rates_in_every_table():
    assert set(CLASS_OF) == set(PLANT_TYPES) and set(CLASS_OF.values()) == set(TEMPERATURES)
    for table in TABLES.values():
        for vegetation in TEMPERATURES:
            assert rates_of(table, vegetation) in table.rates.values()
    assert rates_of(TABLES["EU2007"], "Wetland") == TABLES["EU2007"].rates[NEAREST["Wetland"]]


TRUE = {"Deciduous": Rates(350.0, 0.16, 0.2, 0.9), "Crop": Rates(900.0, 0.09, 0.1, 0.3)}


ERRORS = {"Deciduous": (7.2, 0.0028, 0.0033, 0.016), "Crop": (26.5, 0.0016, 0.0050, 0.035)}
"""Standard deviation of the refit over eight seeds of weather and noise; its means were within 0.6 of them of the truth."""


def test_refit_recovers_the_parameters_of_each_class():
    fitted = RefittedVPRM().fit(towers(["DBF", "CRO", "DBF"], noise=0.3, rates=TRUE))
    for vegetation, rates in TRUE.items():
        error = np.abs(np.subtract(fitted.rates["nee"][vegetation], rates))
        assert np.all(error < 3 * np.array(ERRORS[vegetation])), vegetation
        assert fitted.rates["gpp"][vegetation][:2] == pytest.approx(rates[:2], rel=1e-3)  # without noise
        assert fitted.rates["reco"][vegetation][2:] == pytest.approx(rates[2:], rel=1e-3)


def test_refit_of_a_new_class_is_that_of_all_and_a_seed_repeats():
    sequences = towers(["DBF", "CRO"], noise=0.3, rates=TRUE)
    fitted = RefittedVPRM(days=200).fit(sequences)
    assert fitted.rates == RefittedVPRM(days=200).fit(sequences).rates != RefittedVPRM(days=200, seed=1).fit(sequences).rates
    unseen = towers(["GRA"], seed=3)
    found = fitted.predict(unseen)
    for variable in ("nee", "gpp", "reco"):
        expected = run(unseen, "par", lambda _, variable=variable: fitted.rates[variable][ALL])
        np.testing.assert_array_equal(found[variable], expected[variable])


def test_vprm_says_what_is_missing():
    place = towers(["ENF"])
    del place.drivers["day_fraction"]
    with pytest.raises(ValueError, match="VPRM reads day_fraction"):
        VPRM().predict(place)
    with pytest.raises(ValueError, match="there are EU2007"):
        VPRM("EU2008")
    with pytest.raises(ValueError, match="not fitted"):
        RefittedVPRM().predict(place)
    with pytest.raises(ValueError, match="no measured day of nee"):
        RefittedVPRM().fit(towers(["DBF"], rates=TRUE, noise=np.nan))
