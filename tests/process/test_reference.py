"""Published values (`tests/reference/`) and equations. Each case names its source; expected numbers never come from this package."""

import math

import numpy as np
import pytest

from hybridflux.process import light, respiration, stress, water
from hybridflux.units import LATENT_HEAT, PAR_PER_SHORTWAVE
from hybridflux.vocabulary import PARAMETERS
from tests.reference import FOLDER, cases, rows


@pytest.mark.parametrize("case", cases("process.json"), ids=lambda case: case["function"])
def test_published_value(case):
    room, name = case["function"].split(".")
    function = getattr({"stress": stress, "light": light, "respiration": respiration, "water": water}[room], name)
    assert float(function(**case["inputs"])) == pytest.approx(case["expected"], abs=case["tolerance"])


@pytest.mark.parametrize("tair", [-10.0, 0.0, 5.0, 20.0, 35.0])
def test_lloyd_taylor_1994(tair):
    """Eq. 11 of the paper, normalised to 10 degC: R = R10 exp(308.56 (1 / 56.02 - 1 / (T - 227.13)))."""
    published = math.exp(308.56 * (1 / 56.02 - 1 / (tair + 273.15 - 227.13)))
    ours = respiration.lloyd_taylor(tair=tair, activation_temp=308.56) / respiration.lloyd_taylor(tair=10.0, activation_temp=308.56)
    assert float(ours) == pytest.approx(published, rel=1e-5)


@pytest.mark.parametrize("rew", [0.0, 0.3, 1.0])
def test_granier_1999(rew):
    """REW = (W - Wmin) / (Wmax - Wmin), equation 1 of the paper, and back."""
    swc = water.volumetric(rew=rew, swc_wilting=0.12, swc_field=0.36)
    assert float(swc) == pytest.approx(0.12 + rew * 0.24, rel=1e-6)
    assert float(water.observed(swc=swc, swc_wilting=0.12, swc_field=0.36)) == pytest.approx(rew, abs=1e-6)


@pytest.mark.parametrize("response", [respiration.lloyd_taylor, respiration.q10_response])
def test_responses_are_one_at_15_degrees(response):
    sensitivity = {"q10": 2.3} if response is respiration.q10_response else {"activation_temp": 308.56}
    assert float(response(tair=15.0, **sensitivity)) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("tair", [-20.0, 0.0, 7.5, 30.0])
@pytest.mark.parametrize("q10", [1.0, 1.4, 3.0])
def test_q10_ratio_is_exact(tair, q10):
    ratio = respiration.q10_response(tair=tair + 10.0, q10=q10) / respiration.q10_response(tair=tair, q10=q10)
    assert float(ratio) == pytest.approx(q10, rel=1e-6)


SLOPES = [(row["tair_degC"], row["slope_kPa_degC-1"]) for row in rows("saturation_vapour.csv") if "slope_kPa_degC-1" in row]


@pytest.mark.parametrize("tair, slope", SLOPES)
def test_slope_of_saturation_vapour_pressure(tair, slope):
    share = float(water.potential_evaporation(tair=tair, par=PAR_PER_SHORTWAVE * LATENT_HEAT, evaporation_scalar=1.0))
    assert share / (1 - share) * water.PSYCHROMETRIC == pytest.approx(slope, abs=5e-4)


def test_makkink_summer_day():
    """A Dutch summer day: 20 degC and 20 MJ m-2 d-1 of shortwave give 0.65 * 0.682 * 20 / 2.45 = 3.6 mm (de Bruin 1987)."""
    day = float(water.potential_evaporation(tair=20.0, par=20.0 * PAR_PER_SHORTWAVE, evaporation_scalar=0.65))
    assert day == pytest.approx(0.65 * 0.682 * 20 / 2.45, rel=1e-3)


@pytest.mark.parametrize("tair, expected", [(16.0, 1.0), (25.0, 1 / math.cosh(1)), (-20.0, 1 / math.cosh(4))])
def test_horn_schulz_is_a_hyperbolic_secant(tair, expected):
    assert float(stress.peaked_temperature(tair_lagged=tair, temp_optimum=16.0, temp_width=9.0)) == pytest.approx(expected, rel=1e-5)


def test_peak_does_not_overflow():
    value = np.asarray(stress.peaked_temperature(tair_lagged=np.float32([-1e4, 1e4]), temp_optimum=16.0, temp_width=2.0))
    assert np.isfinite(value).all() and value.max() < 1e-8


@pytest.mark.parametrize("plant, tmin, vpd", [row.values() for row in rows("mod17_half_way.csv")])
def test_mod17_ramps(plant, tmin, vpd):
    """Half way along both ramps of MOD17 light use is a half of a half."""
    names = ("tmin_closed", "tmin_open", "vpd_open", "vpd_closed")
    closed, opened, vpd_open, vpd_closed = (PARAMETERS[name].by_class.get(plant, PARAMETERS[name].typical) for name in names)
    cold = stress.low_temperature(tmin=tmin, tmin_closed=closed, tmin_open=opened)
    dry = stress.vpd_ramp(vpd=vpd, vpd_open=vpd_open, vpd_closed=vpd_closed)
    assert float(cold * dry) == pytest.approx(0.25, rel=1e-5)


def test_light_saturation_of_bao():
    """0.002 umol-1 m2 s over a 12 h day is 0.21 m2 d MJ-1: 1000 umol m-2 s-1 absorbed leave a third of the efficiency."""
    megajoules = 1000e-6 / 4.57 * 43200
    assert light.saturation(fapar=1.0, par=megajoules, light_saturation=0.002 * 4.57e6 / 43200) == pytest.approx(1 / 3, rel=1e-6)


def test_every_file_says_where_it_is_from():
    page = (FOLDER / "PROVENANCE.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in page for path in FOLDER.iterdir() if path.suffix in (".csv", ".json"))
    assert all(f"`{case['source']}`" in page for case in cases("process.json"))
