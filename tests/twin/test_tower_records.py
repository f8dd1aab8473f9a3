"""The towers folder reads like a download and holds the truth within its noise."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.imagery.indices import compute
from hybridflux.data.towers import open_towers
from hybridflux.model import compositions
from hybridflux.twin.satellite import reflectance_of
from hybridflux.twin.tower_records import make_towers
from hybridflux.twin.true_model import NOISE


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    return folder, make_towers(folder, 6, (2020, 2022), np.random.default_rng(4))


@pytest.fixture(scope="module")
def sequences(made):
    folder, truth = made
    towers = open_towers(folder)
    assert not towers.left_out
    model = compositions.get("static")
    return towers.sequences((*model.needs(), "tair_night", "day_fraction")).select(list(truth.sites["site_id"]))


def test_drivers_come_back(made, sequences):
    truth = made[1]
    assert np.array_equal(sequences.days, truth.days)
    for name in ("tair", "tmin", "tair_night", "par", "vpd", "rain", "day_fraction", "soil_capacity"):
        assert np.allclose(sequences.drivers[name], truth.drivers[name], rtol=2e-3, atol=2e-3), name
    assert np.sqrt(np.mean((sequences.drivers["fapar"] - truth.drivers["fapar"]) ** 2)) < 0.10


def test_nee_is_the_truth_and_laplace_noise(made, sequences):
    flux = made[1].fluxes["nee"]
    error = sequences.targets["nee"] - flux
    known = np.isfinite(error)
    expected = NOISE["noise_floor"] + NOISE["noise_slope"] * np.abs(flux)
    relative = error[known] / expected[known]
    assert np.abs(relative).mean() == pytest.approx(1.0, abs=0.04)
    assert np.median(np.abs(relative)) == pytest.approx(np.log(2), abs=0.04)
    assert abs(relative.mean()) < 0.06


def test_night_and_day_make_the_whole(made, sequences):
    night, day, nee = (sequences.targets[name] for name in ("nee_night", "nee_day", "nee"))
    light = sequences.drivers["day_fraction"]
    closure = light * day + (1 - light) * night - nee
    assert np.nanmax(np.abs(closure)) < 0.01
    error = np.abs(night - made[1].fluxes["nee_night"])
    assert np.nanmean(error) == pytest.approx(np.mean(NOISE["noise_floor"] + NOISE["noise_slope"] * made[1].fluxes["nee_night"]), rel=0.05)


def test_gaps_are_as_at_real_towers_and_longer_in_winter(sequences):
    known = np.isfinite(sequences.targets["nee"])
    month = sequences.days.astype("datetime64[M]").astype(int) % 12 + 1
    assert 0.5 < known.mean() < 0.8
    assert known[(month > 4) & (month < 10)].mean() > known[(month < 3) | (month > 10)].mean() + 0.08


def test_partitioned_fluxes_are_near_the_truth_but_not_it(made, sequences):
    for name in ("gpp", "reco"):
        error = sequences.targets[name] - made[1].fluxes[name]
        assert 0.02 < np.sqrt(np.nanmean(error**2)) < 1.2


def test_the_file_is_a_fluxnet_file(made):
    folder, truth = made
    site = truth.sites["site_id"][0]
    table = pd.read_csv(folder / "fluxnet_dd" / f"FLX_{site}_FLUXNET2015_FULLSET_DD_2020-2022.csv.gz")
    assert table["TIMESTAMP"].iloc[[0, -1]].tolist() == [20200101, 20221231] and len(table) == 1096
    assert (table["NIGHT_D"] + table["DAY_D"] == 48).all()
    assert (table.loc[table["NEE_VUT_REF_QC"] < 0.05, "NEE_VUT_REF"] == -9999).all()
    assert 40 < table["SW_IN_F"].mean() < 250 and table["SWC_F_MDS_1"].between(5, 40).all()


def test_annual_sums_are_those_of_european_towers(made):
    truth = made[1]
    for name, low, high in (("gpp", 700, 2600), ("reco", 500, 2000), ("nee", -1000, 250)):
        yearly = truth.fluxes[name].sum(0) / 3
        assert low < yearly.min() and yearly.max() < high, name
    summer = truth.fluxes["gpp"][150:210].max(0)
    assert np.all((summer > 6) & (summer < 22))


def test_reflectance_is_that_of_the_truth_and_changes_nothing_else(made, tmp_path):
    """Clear views on straight lines of fapar, which the reader turns into daily indices; every other file is the same to the last byte."""
    folder, truth = made
    make_towers(tmp_path, 6, (2020, 2022), np.random.default_rng(4), reflectance=True)
    for path in folder.rglob("*.csv*"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name
    model = compositions.get("hybrid_nirv")
    towers = open_towers(tmp_path, needs=model.needs_at_towers()).select(list(truth.sites["site_id"]))
    sequences, bands = towers.sequences(model.needs_at_towers()), reflectance_of(truth.drivers["fapar"])
    for name in ("nirv", "lswi"):
        expected = compute(name, bands)
        z = np.abs(sequences.drivers[name] - expected) / towers.daily[f"{name}_sd"].to_numpy()
        assert np.corrcoef(sequences.drivers[name].ravel(), expected.ravel())[0, 1] > 0.95, name
        assert 0.78 < np.mean(z < 1.645) < 0.97, name  # 90 % intervals; clouds that the mask missed are no noise of views
    assert np.isfinite(np.asarray(model.fluxes({**sequences.drivers, "site": np.full(6, -1)})["nee"])).all()
