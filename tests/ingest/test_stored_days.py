"""Stored days are those of `fill` with the calibration line, wherever the pixels of a kind lie in a tile."""

import inspect

import numpy as np

from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.ingest.fill_tile import Tables
from hybridflux.ingest.stored_days import fill_stored, line_numbers
from hybridflux.region.store import layout
from hybridflux.series import SeriesProcess, fill
from hybridflux.series.cleaning import variances_of, view_axis
from hybridflux.series.every_day import calendar_of
from hybridflux.series.hyperparameters import season_of
from hybridflux.series.lanes import room, version_of

PROCESS = SeriesProcess((0.55, -0.2, 0.05), fast_sd=0.1, fast_days=25.0, slow_sd=0.1, slow_days=500.0, view_sd=0.03, widening=1.2)
DAYS, PIXELS, UNTOUCHED = 200, 150, -7
WHEN = np.arange(1, DAYS - 3, 4)


def test_stored_days_are_those_of_fill_with_the_line():
    random = np.random.default_rng(0)
    index = season_of(PROCESS, WHEN)[:, None] + 0.1 * random.normal(size=PIXELS) + 0.03 * random.normal(size=(len(WHEN), PIXELS))
    index[20:, ::3] -= 0.35  # harvests
    index[random.random(index.shape) < 0.03] -= 0.4  # clouds that the mask missed
    stored = np.where(random.random(index.shape) < 0.5, layout.NODATA, np.rint(index / layout.SCALE)).astype(np.int16)
    stored[:, 4] = layout.NODATA
    pixels = np.flatnonzero(np.arange(PIXELS) % 5 != 3)  # 120: a whole block of lanes and a part of one
    lines = CalibrationLine(-0.1, 1.25, residual_sd=0.02), None
    tables = Tables(
        season_of(PROCESS, WHEN).astype(np.float32), view_axis(PROCESS, WHEN), *calendar_of(PROCESS, WHEN, DAYS), variances_of(PROCESS),
        np.stack([line_numbers(name, line) for name, line in zip(("fapar", "ndvi"), lines, strict=True)]),
    )  # fmt: skip
    maps = np.full((4, DAYS, PIXELS), UNTOUCHED, np.int16)
    clear, rejected = fill_stored(stored, pixels, *tables, maps, *room(len(WHEN)))

    views = np.where(stored == layout.NODATA, np.nan, stored * np.float32(layout.SCALE))[:, pixels]
    filled = fill(views, WHEN, DAYS, process=PROCESS)
    assert clear == np.isfinite(views).sum() and rejected == (np.isfinite(views) & ~filled.used).sum() > 0
    fapar = lines[0].applied(filled.mean, filled.sd)
    for map_, values in zip(maps, (*fapar, filled.mean, filled.sd), strict=True):
        assert np.abs(map_[:, pixels] - values / layout.SCALE).max() < 0.51
        assert (map_[:, np.arange(PIXELS) % 5 == 3] == UNTOUCHED).all()


def test_another_step_of_the_store_is_compiled_anew(monkeypatch):
    """Compiled code holds constants of other files; what is cached on disk must not outlive them."""
    function = inspect.unwrap(fill_stored.py_func)
    before = version_of(function)
    monkeypatch.setitem(function.__globals__, "_SCALE", np.float32(2.0 * layout.SCALE))
    assert version_of(function) != before
