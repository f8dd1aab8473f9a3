"""One draw of the kernel beside the prediction calls of other packages, in million pixel-days per second.

All take turns in one process over the same made-up tile of 128 x 128 pixels. They do not compute the same: pyVPRM has no water
balance, pyrealm a richer GPP and no respiration, trees have neither, and each gives one member. The comparison is pixel-days mapped
per second. What favours the others: the kernel and NumPy run a year of spin-up and a year of lead before the mapped one and count the
last one only; drivers of the others are laid out for them outside the clock, and pyVPRM is called once a day, not once an hour. What
favours us: we read weather by cell, they by pixel. A call of pyVPRM costs some milliseconds whatever the image, so it is also given
the tile sixteen times over, side by side.

    python benchmarks/bench_peers.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from bench_map_throughput import DAYS, kernel, make_region, numpy_loop

from hybridflux.machine import cores, prepare
from hybridflux.units import FREEZING_KELVIN, PAR_PER_SHORTWAVE

SIDE, CACHED = 128, 64
EVERY = 12  # the others predict each twelfth day: a share of the year with all its seasons
ROWS, TRAINED = 65_536, 20_000
PPFD_PER_PAR = 4.57e6 / 86_400  # MJ m-2 d-1 of PAR -> umol m-2 s-1
OURS = "hybridflux, 1 draw, daily maps"
Run = Callable[[], float]


@dataclass(frozen=True)
class Peer:
    """Another package.

    Attributes:
        name: printed.
        package: to install.
        module: that is imported.
        wanted: how many times slower than the kernel it should be.
        make: gives the function to time from the drivers of the tile.
    """

    name: str
    package: str
    module: str
    wanted: float
    make: Callable[[dict], Run]


def main() -> None:
    """Run everything and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    os.environ.pop("OMP_NUM_THREADS", None)  # trees take all cores
    prepare()
    warnings.filterwarnings("ignore", module="pyrealm")
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole", Path(folder) / "small"
        make_region(whole / "region.zarr", SIDE)
        make_region(small / "region.zarr", CACHED)
        competitors: dict[str, tuple[float | None, Run]] = {
            OURS: (None, kernel(whole, 1, daily=True)),
            "hybridflux, 1 draw, months and years": (None, kernel(whole, 1, daily=False)),
            f"NumPy float32, {SIDE**2} pixels at a time": (2, numpy_loop(whole)),
            f"NumPy float32, {CACHED**2} pixels at a time": (2, numpy_loop(small)),
        }
        given = drivers(whole / "region.zarr")
        for peer in PEERS:
            try:
                importlib.import_module(peer.module)
            except ImportError as error:
                print(f"{peer.name}: left out ({error}); pip install {peer.package}")
                continue
            competitors[f"{peer.name} ({peer.package} {metadata.version(peer.package)})"] = (peer.wanted, peer.make(given))
        report({name: wanted for name, (wanted, _) in competitors.items()}, in_turns(competitors, rounds), rounds)


def in_turns(competitors: dict[str, tuple[float | None, Run]], rounds: int) -> dict[str, float]:
    """Median million pixel-days per second of each."""
    rates: dict[str, list[float]] = {name: [] for name in competitors}
    for _, run in competitors.values():
        run()  # compiles, warms up
    for _ in range(rounds):
        for name, (_, run) in competitors.items():
            began = time.perf_counter()
            count = run()
            rates[name].append(count / (time.perf_counter() - began) / 1e6)
    return {name: statistics.median(values) for name, values in rates.items()}


def report(wanted: dict[str, float | None], rates: dict[str, float], rounds: int) -> None:
    """Print the table."""
    processor = platform.processor() or platform.machine()
    print(f"{processor}, {cores()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds}")
    print(f"{'':72s} {'M pixel-days / s':>17s} {'ours / it':>10s} {'wanted':>7s}")
    for name, rate in rates.items():
        least = wanted[name]
        bound = "" if least is None else f"{least:7.0f} {'' if rates[OURS] / rate >= least else 'short'}"
        print(f"{name:72s} {rate:17.3f} {rates[OURS] / rate:10.1f} {bound}".rstrip())


def drivers(path: Path) -> dict:
    """Drivers of each `EVERY`th day of the last year `[day, pixel]`, and what does not change `[pixel]`."""
    import zarr

    group = zarr.open_group(path, mode="r")
    days = np.arange(DAYS, 2 * DAYS, EVERY)
    given = {"fapar": group["fapar"][DAYS:].reshape(DAYS, -1)[::EVERY] * np.float32(1e-4), "days": days}
    cell = group["cell"][:].reshape(-1)
    for name in ("tair", "tmin", "par", "vpd", "rain", "par_potential", "day_fraction", "co2"):
        given[name] = group[name][:][days][:, cell].astype(np.float32)
    return given | {name: group[name][:].reshape(-1).astype(np.float32) for name in ("soil_capacity", "plant_type")}


def vprm(classes: int, across: int = 1) -> Callable[[dict], Run]:
    """`make_vprm_predictions` of pyVPRM over an image, its own class; stand-ins hold images, land cover and weather in memory.

    Its reading, smoothing and regridding are left out. `fapar` stands for its EVI, and for LSWI after a shift.

    Args:
        classes: of vegetation; each is computed for all pixels.
        across: tiles along a side of the image.
    """
    side = SIDE * across

    def make(given: dict) -> Run:
        import xarray as xr
        from pyVPRM.vprm_models.vprm_base_model import vprm_base_model

        def image(values) -> xr.DataArray:
            return xr.DataArray(np.tile(values.reshape(-1, SIDE, SIDE), (1, across, across)), dims=("time", "y", "x"))

        evi, sun = image(given["fapar"]), given["par"] * np.float32(1e6 / PAR_PER_SHORTWAVE / 24)  # J m-2 in an hour
        weather = {"t2m": image(given["tair"] + np.float32(FREEZING_KELVIN)), "ssrd": image(sun)}
        kinds = np.arange(1, classes + 1)
        nearest = np.searchsorted(np.unique(given["plant_type"]), given["plant_type"]) % classes + 1  # types of the tile as classes
        nearest = np.tile(nearest.reshape(SIDE, SIDE), (across, across))
        share = (nearest == kinds[:, None, None]).astype(np.float32)
        cover = xr.DataArray(share, dims=("vprm_classes", "y", "x"), coords={"vprm_classes": kinds})
        lswi = evi - 0.2
        land = SimpleNamespace(
            temp_coefficients={kind: (0, 20, 40, 2) for kind in kinds}, n_cpus=1, empty_xr_lat_lon_grid=True, time_key="time", counter=0,
            sat_imgs=SimpleNamespace(sat_img=xr.Dataset({"evi": evi, "lswi": lswi})), land_cover_type=SimpleNamespace(sat_img=cover),
            min_max_evi=SimpleNamespace(sat_img=xr.Dataset({"th": 0.5 * (evi.min("time") + evi.max("time"))})),
            max_lswi=SimpleNamespace(sat_img=xr.Dataset({"max_lswi": lswi.max("time")})),
            min_lswi=SimpleNamespace(sat_img=xr.Dataset({"min_lswi": lswi.min("time")})),
        )  # fmt: skip
        land._set_sat_img_counter = lambda date: None
        sky = SimpleNamespace(
            change_date=lambda **_: None, regrid=lambda **_: None, get_data=lambda key: weather[key].isel(time=land.counter)
        )
        numbers = {kind: {"lamb": 0.1, "par0": 500.0, "alpha": 0.1, "beta": 0.5} for kind in kinds}
        model = vprm_base_model(vprm_pre=land, met=sky, fit_params_dict=numbers)
        dates = [datetime(2017, 1, 1) + timedelta(days=int(day)) for day in given["days"]]

        def run() -> float:
            for land.counter, date in enumerate(dates):
                fluxes = model.make_vprm_predictions(date=date)
                assert fluxes["nee"].shape == (side, side)
            return evi.size

        return run

    return make


def pmodel(given: dict) -> Run:
    """The P model of pyrealm, a day of the tile in one call, which fits its arrays into the cache."""
    from pyrealm.pmodel import PModel, PModelEnvironment

    names = {"tc": ("tair", 1.0), "vpd": ("vpd", 100.0), "co2": ("co2", 1.0), "fapar": ("fapar", 1.0), "ppfd": ("par", PPFD_PER_PAR)}
    arrays = {theirs: given[ours].astype(np.float64) * factor for theirs, (ours, factor) in names.items()}
    arrays["patm"] = np.full_like(arrays["tc"], 101_325.0)

    def run() -> float:
        for day in range(len(given["days"])):
            gpp = PModel(PModelEnvironment(**{name: values[day] for name, values in arrays.items()})).gpp
            assert gpp.shape == (SIDE**2,)
        return arrays["tc"].size

    return run


def table(given: dict) -> tuple[np.ndarray, np.ndarray]:
    """Twelve predictors of pixel-days drawn at random, and a toy flux to train on."""
    random = np.random.default_rng(0)
    day, pixel = random.integers(0, len(given["days"]), ROWS), random.integers(0, SIDE**2, ROWS)
    daily = ("fapar", "tair", "tmin", "par", "vpd", "rain", "par_potential", "day_fraction", "co2")
    season = np.sin(2 * np.pi * given["days"][day] / 365.25)
    rows = np.stack([*(given[name][day, pixel] for name in daily), given["soil_capacity"][pixel], given["plant_type"][pixel], season], 1)
    light = given["fapar"][day, pixel] * given["par"][day, pixel]
    flux = 4 * light / (1 + 0.1 * light) * np.exp(-0.05 * given["vpd"][day, pixel]) + 0.3 * random.normal(size=ROWS)
    return rows.astype(np.float32), flux.astype(np.float32)


def trees(make: Callable) -> Callable[[dict], Run]:
    """Prediction of one flux by a regressor of scikit-learn's kind, trained on the first rows."""

    def made(given: dict) -> Run:
        rows, flux = table(given)
        fitted = make().fit(rows[:TRAINED], flux[:TRAINED])

        def run() -> float:
            assert fitted.predict(rows).shape == (ROWS,)
            return ROWS

        return run

    return made


def xgboost_trees():
    """200 trees of depth 6."""
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=200, max_depth=6, n_jobs=cores())


def lightgbm_trees():
    """200 trees of 31 leaves."""
    from lightgbm import LGBMRegressor

    return LGBMRegressor(n_estimators=200, num_leaves=31, n_jobs=cores(), verbosity=-1)


def random_forest():
    """100 trees, grown out."""
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=100, n_jobs=cores(), random_state=0)


def histogram_trees():
    """200 trees of 31 leaves."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=200, early_stopping=False)


VPRM = "pyVPRM.vprm_models.vprm_base_model"
XGBOOST = "xgboost-cpu" if any(one.metadata["Name"] == "xgboost-cpu" for one in metadata.distributions()) else "xgboost"
PEERS = (
    Peer("make_vprm_predictions, 1 class", "pyVPRM", VPRM, 100, vprm(1)),
    Peer("make_vprm_predictions, 5 classes", "pyVPRM", VPRM, 100, vprm(5)),
    Peer(f"make_vprm_predictions, 1 class, {4 * SIDE} x {4 * SIDE}", "pyVPRM", VPRM, 100, vprm(1, across=4)),
    Peer("PModelEnvironment + PModel, GPP", "pyrealm", "pyrealm.pmodel", 100, pmodel),
    Peer("XGBoost, 200 trees of depth 6", XGBOOST, "xgboost", 250, trees(xgboost_trees)),
    Peer("LightGBM, 200 trees of 31 leaves", "lightgbm", "lightgbm", 700, trees(lightgbm_trees)),
    Peer("RandomForest, 100 trees", "scikit-learn", "sklearn", 700, trees(random_forest)),
    Peer("HistGradientBoosting, 200 trees", "scikit-learn", "sklearn", 700, trees(histogram_trees)),
)

if __name__ == "__main__":
    main()
