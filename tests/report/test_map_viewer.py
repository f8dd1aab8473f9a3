import base64
import zlib

import numpy as np
import pytest
import xarray as xr

from hybridflux.report import map_viewer
from hybridflux.report.fitted_maps import BYTES, fitted, size_of
from hybridflux.report.map_viewer import LEVELS, OUTSIDE, panel, run_viewer, sample

pytestmark = pytest.mark.long


def decoded(spec, shape):
    """Values of a panel as the viewer reads them."""
    level = np.frombuffer(zlib.decompress(base64.b64decode(spec["data"])), np.uint8).reshape(shape).astype(float)
    return np.where(level == OUTSIDE, np.nan, spec["lo"] + level / LEVELS * (spec["hi"] - spec["lo"]))


def test_bytes_hold_the_values():
    values = np.random.default_rng(0).normal(0, 2, (3, 5, 4))
    values[0, 0, 0] = np.nan
    spec = panel(values, "NEE", "NEE", "BrBG_r", centred=True)
    assert spec["lo"] == -spec["hi"]
    step = (spec["hi"] - spec["lo"]) / LEVELS
    clipped = np.clip(values, spec["lo"], spec["hi"])
    np.testing.assert_allclose(decoded(spec, values.shape), clipped, atol=0.51 * step)


def test_nothing_to_show_is_no_error():
    assert panel(np.full((1, 2, 2), np.nan), "a", "a", "BuPu", centred=False)["hi"] == 1.0


def test_large_runs_are_thinned():
    for times, side in ((12, 200), (365, 200), (120, 5000), (3650, 10_000)):
        shown = sample(times, side, side, 300, 6)
        assert len(shown.frames) * np.ceil(side / shown.stride) ** 2 * 6 <= 1.1 * BYTES


def test_maps_that_do_not_compress_keep_to_their_size():
    noise = np.random.default_rng(0).normal(size=(24, 300, 300)).astype(np.float32)
    names = {name: (("time", "y", "x"), noise) for name in ("NEE", "NEE_sd")}
    times = np.arange("2018-01", "2020-01", dtype="datetime64[M]").astype("datetime64[ns]")
    data = xr.Dataset(names, {"time": times, "y": -10.0 * np.arange(300), "x": 10.0 * np.arange(300)})
    made = fitted(lambda room: map_viewer._group(data, "monthly", room), map_viewer.MOST["monthly"])
    assert 0.6 * map_viewer.MOST["monthly"] < size_of(made) <= map_viewer.MOST["monthly"]
    assert made["stride"] > 1 and len(made["frames"]) == 24 and sum(map_viewer.MOST.values()) < 4e6


def test_the_trend_of_the_record_is_shown_with_the_share_of_draws_that_rise():
    rng, axes = np.random.default_rng(0), ("time", "y", "x")
    maps = {f"NEE_trend{ending}": (axes, one) for ending, one in (("", rng.normal(size=(1, 8, 8))), ("_sd", rng.random((1, 8, 8))))}
    maps |= {"NEE_trend_rising": (axes, rng.random((1, 8, 8))), "days": ("time", [1826])}
    data = xr.Dataset(maps, {"time": [np.datetime64("2014-01-01", "ns")], "y": -10.0 * np.arange(8), "x": 10.0 * np.arange(8)})
    made = map_viewer._group(data, "record", BYTES)
    assert made["frames"] == ["2014-2018"] and made["label"] == "Trend" and "yr<sup>−2</sup>" in made["units"]
    (layer,) = made["layers"]
    mean, sd, rising = layer["panels"]
    assert layer["name"] == "NEE trend" and mean["lo"] == -mean["hi"] and sd["name"] == "sd" and (rising["lo"], rising["hi"]) == (0.0, 1.0)
    np.testing.assert_allclose(decoded(rising, (1, 8, 8)), data["NEE_trend_rising"], atol=0.003)


def test_viewer_shows_the_store(mapped):
    viewer = run_viewer(mapped.run)
    assert [group["id"] for group in viewer["groups"]] == ["annual", "monthly"]
    monthly = viewer["groups"][1]
    nee = next(layer for layer in monthly["layers"] if layer["name"] == "NEE")
    store = xr.open_zarr(mapped.run / "fluxes.zarr", group="monthly")
    shape = (12, monthly["height"], monthly["width"])
    for spec, name in zip(nee["panels"], ("NEE", "NEE_sd"), strict=True):
        step = (spec["hi"] - spec["lo"]) / LEVELS
        known = np.clip(store[name].values, spec["lo"], spec["hi"])
        np.testing.assert_allclose(decoded(spec, shape), known, atol=0.52 * step)
