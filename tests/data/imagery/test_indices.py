"""Vegetation indices: numbers computed by hand, bounds, and what happens to negative, dark and missing reflectance."""

import numpy as np
import pytest

from hybridflux.data.imagery.indices import INDICES, LEAST_BAND, LEAST_SUM, LOWEST, bands_needed, compute, negatives

SPECTRUM = {"B04": 0.05, "B05": 0.10, "B07": 0.35, "B08": 0.40, "B8A": 0.42, "B11": 0.20}

# By hand from the formulae of the papers (N=B08, R=B04, S1=B11, RE3=B07, RE1=B05): NDVI (N-R)/(N+R), EVI2 2.5(N-R)/(N+2.4R+1),
# NIRv ((N-R)/(N+R))N, kNDVI tanh(((N-R)/(N+R))^2), LSWI (N-S1)/(N+S1), NDRE (RE3-RE1)/(RE3+RE1).
BY_HAND = {
    "ndvi": 0.35 / 0.45,
    "evi2": 2.5 * 0.35 / 1.52,
    "nirv": 0.35 / 0.45 * 0.40,
    "kndvi": 2.3530748 / 4.3530748,  # (e - 1) / (e + 1) with e = exp(2 x 0.6049383) = 3.3530748
    "lswi": 0.2 / 0.6,
    "ndre": 2.5 / 4.5,  # chlorophyll index 0.35 / 0.10 - 1 = 2.5, over itself plus 2
}


@pytest.mark.parametrize("name", BY_HAND)
def test_values_computed_by_hand(name):
    got = compute(name, {band: np.array([value]) for band, value in SPECTRUM.items()})
    assert got[0] == pytest.approx(BY_HAND[name], rel=1e-5)


@pytest.mark.parametrize("name", BY_HAND)
def test_an_index_stays_in_its_bounds_whatever_the_reflectance(name):
    rng = np.random.default_rng(0)
    reflectance = {band: rng.uniform(-0.05, 1.0, 20000).astype(np.float32) for band in SPECTRUM}
    values = compute(name, reflectance)
    least, most = INDICES[name].bounds
    known = np.isfinite(values)
    assert values.dtype == np.float32 and 0.5 < known.mean() < 1.0
    assert least - 1e-4 <= values[known].min() and values[known].max() <= most + 1e-4


def test_small_negatives_count_as_zero_which_tells_no_ratio_and_large_ones_as_wrong():
    red = np.array([0.0, -0.0001, LOWEST, LOWEST - 0.001, np.nan])
    reflectance = {"B08": np.full(5, 0.3), "B04": red}
    assert np.isnan(compute("ndvi", reflectance)).all()
    np.testing.assert_allclose(compute("evi2", reflectance), [0.75 / 1.3] * 3 + [np.nan] * 2)
    just = {"B08": np.full(2, 0.3), "B04": np.array([LEAST_BAND - 1e-4, LEAST_BAND])}
    assert np.isnan(compute("ndvi", just)).tolist() == [True, False]
    assert negatives(reflectance) == {"B08": (0, 0), "B04": (2, 1)}


def test_a_ratio_of_two_dark_bands_is_no_index():
    dark = {"B08": np.array([LEAST_SUM / 2 - 1e-3, LEAST_SUM / 2 + 1e-3]), "B04": np.array([LEAST_SUM / 2, LEAST_SUM / 2])}
    for name in ("ndvi", "nirv", "kndvi"):
        assert np.isnan(compute(name, dark)).tolist() == [True, False]
    assert np.isfinite(compute("evi2", dark)).all()  # no ratio of two small numbers: its denominator is above one


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("stored", [0.0, 1e-4, -0.005])
def test_no_index_of_what_reflects_nothing(name, stored):
    """0 where it stands for no data, 1 of 10000 where 0 does: no index of two such bands, nor of such a near infrared."""
    angles = {"view_zenith": 5.0, "view_azimuth": 100.0, "sun_zenith": 40.0, "sun_azimuth": 150.0}
    nothing = {band: np.full(3, stored) for band in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12", "G531")}
    nothing |= {angle: np.full(3, value) for angle, value in angles.items()}
    assert np.isnan(compute(name, nothing)).all()


def test_b8a_stands_for_b08_where_no_scene_has_it():
    assert bands_needed(["ndvi", "lswi", "evi2"], ["B02", "B04", "B8A", "B11"]) == ("B8A", "B04", "B11")
    assert bands_needed(["ndvi"], ["B04", "B08", "B8A"]) == ("B08", "B04")
    assert compute("ndvi", {"B8A": np.array(0.42), "B04": np.array(0.05)}) == pytest.approx(0.37 / 0.47)


def test_a_missing_band_and_an_unknown_index_are_named():
    with pytest.raises(ValueError, match="ndre needs B07 and B05; the images have B04, B08"):
        bands_needed(["ndre"], ["B04", "B08"])
    with pytest.raises(ValueError, match="no vegetation index `savi`; there are ndvi"):
        compute("savi", {})


def test_every_index_has_its_source():
    for name, index in INDICES.items():
        assert index.source and (index.doi or "").startswith("10.") or name == "fapar", name
