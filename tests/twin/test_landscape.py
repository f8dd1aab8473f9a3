"""Parcels, covers, communes, soil; calendars with harvests and cuts."""

import numpy as np
import pytest

from hybridflux.twin.landscape import AFTER, SHARES, make_landscape
from hybridflux.twin.phenology import make_greenness

DAYS = np.arange("2021-01-01", "2023-01-01", dtype="datetime64[D]")


@pytest.fixture(scope="module")
def land():
    return make_landscape(120, np.random.default_rng(5))


@pytest.fixture(scope="module")
def green(land):
    return make_greenness(land.cover, land.crops, DAYS, 2021, np.random.default_rng(6))


def test_every_cover_and_crop_is_there(land):
    assert set(land.cover) == {*SHARES, "CRO"}
    assert set(land.crops[land.cover == "CRO", 1]) == set(AFTER)
    assert (land.crops[land.cover != "CRO"] == "").all()
    share = {code: (land.plant_type == index).mean() for index, code in ((11, "CRO"), (3, "DBF"), (9, "GRA"))}
    assert 0.3 < share["CRO"] < 0.6 and 0.1 < share["DBF"] < 0.35 and 0.08 < share["GRA"] < 0.3


def test_maps_fit_together(land):
    assert land.parcel.shape == land.zone.shape == land.soil_capacity.shape == (120, 120)
    assert set(np.unique(land.zone)) == set(land.zone_names) and 0 not in land.zone_names
    assert 100 < land.soil_capacity.min() and land.soil_capacity.max() < 450
    forest = np.isin(land.cover, ("DBF", "ENF"))[land.parcel]
    assert land.soil_capacity[forest].mean() > land.soil_capacity[~forest].mean() + 50


def test_neighbouring_pixels_share_their_parcel(land):
    assert (land.parcel[:, 1:] == land.parcel[:, :-1]).mean() > 0.85


def test_seeded_and_not_too_small(land):
    assert np.array_equal(make_landscape(120, np.random.default_rng(5)).parcel, land.parcel)
    assert len(np.unique(make_landscape(16, np.random.default_rng(0)).cover)) > 3
    with pytest.raises(ValueError, match="16 or more"):
        make_landscape(10, np.random.default_rng(0))


def test_a_harvest_is_a_drop(land, green):
    checked = 0
    for parcel in np.flatnonzero(land.cover == "CRO"):
        for cut in green.cuts[parcel]:
            before, after = green.fapar[cut - 3, parcel], green.fapar[cut + 1, parcel]
            assert after < 0.20 and after < before - 0.04
            checked += 1
    assert checked > 10


def test_maize_is_green_in_august_and_wheat_in_may(land, green):
    may, august = (int((np.datetime64(day) - DAYS[0]).astype(int)) for day in ("2022-05-10", "2022-08-10"))
    wheat, maize = (green.fapar[:, land.crops[:, 1] == crop] for crop in ("wheat", "maize"))
    assert wheat[may].min() > 0.75 > 0.3 > wheat[august].max()
    assert maize[august].min() > 0.75 > 0.3 > maize[may].max()


def test_meadows_are_cut_two_to_four_times_a_year(land, green):
    for parcel in np.flatnonzero(land.cover == "GRA"):
        for first in (0, 365):
            cuts = [cut for cut in green.cuts[parcel] if first <= cut < first + 365]
            assert 2 <= len(cuts) <= 4
            assert all(green.fapar[cut, parcel] < 0.55 * green.fapar[cut - 2, parcel] for cut in cuts)


def test_forests_follow_their_calendar(land, green):
    day = (DAYS - DAYS.astype("datetime64[Y]")).astype(int)
    broadleaf = green.fapar[:, land.cover == "DBF"]
    assert broadleaf[(day > 170) & (day < 230)].mean() > 0.8 and broadleaf[day < 60].mean() < 0.3
    conifer = green.fapar[:, land.cover == "ENF"]
    assert np.ptp(conifer, axis=0).max() < 0.15
    assert green.fapar.min() >= 0 and green.fapar.max() < 0.98
