r"""E02 - What does the towers' posterior say of a real patch of Flanders, every day at 10 m, in the dry year 2018?

Runs the posterior of e03 over 64 x 64 pixels with the real Sentinel-2 L2A and AgERA5 series of December 2017 to November 2018: maps,
budgets by crop, a summer with half the rain and two degrees more, one report. NEE = RECO - GPP, positive to the atmosphere,
gC m-2 d-1.

Two instruments meet here. The towers' fAPAR is MODIS C5 FPAR of 1 km pixels; the map's is made of Sentinel-2 NDVI. They are
harmonised where their supports agree: the mean NDVI of the patch (640 m) is mapped by a straight line so that its 10 and 90 %
quantiles over the year meet those of the mean seasonal MODIS FPAR cycle of the nearest crop tower (BE-Lon, 120 km away); the same
line then serves every 10 m pixel. The line and the usual one of the literature, 1.24 NDVI - 0.168, are both printed.

    python experiments/e02_flanders_map.py --data ../shared/data/eo/flanders_s2 \
        --towers ../shared/data/towers \
        --posterior runs/e03/posterior.nc --out runs/e02
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import binary_dilation

from hybridflux.data.carbon_dioxide import daily_co2
from hybridflux.data.solar import day_fraction, potential_par
from hybridflux.data.vegetation import daily, fapar_of_ndvi, read_series
from hybridflux.inference import Posterior
from hybridflux.products.budget import budget_table
from hybridflux.products.scenario import run_scenario
from hybridflux.region.create import create_region
from hybridflux.region.grid import Grid
from hybridflux.region.run import map_region
from hybridflux.report.page import write_report
from hybridflux.twin.satellite import Observations, fill_daily
from hybridflux.units import PAR_PER_SHORTWAVE, convert
from hybridflux.vocabulary import PLANT_TYPES

LATITUDE, CRS, PIXEL = 50.816, "EPSG:32631", 10.0
START, END = "2017-12-01", "2018-11-30"
CLEAR = (4, 5, 6)  # Sen2Cor scene classes: vegetation, bare soil, water
RIM = 2  # pixels a mask grows by: Sen2Cor misses the rims of clouds
TOWER = "BE-Lon"
# FAO indicative crop classification, as WorldCereal uses it; land cover 11 cropland, 13 grassland, 60 built-up, others carry no label
CROPS = {1200: "maize", 2130: "leafy vegetables", 5100: "potatoes", 7900: "legumes", 9120: "permanent grass"}
DRY = {"rain": "*0.5@2018-05-01:2018-08-31", "tair": "+2@2018-05-01:2018-08-31"}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the Sentinel-2, AgERA5 and label files of the patch")
    parser.add_argument("--towers", type=Path, required=True, help="towers folder, for the MODIS cycle")
    parser.add_argument("--posterior", type=Path, default=Path("runs/e03/posterior.nc"))
    parser.add_argument("--out", type=Path, default=Path("runs/e02"))
    parser.add_argument("--smoke", action="store_true", help="few draws, to see that it runs")
    arguments = parser.parse_args()
    draws = 8 if arguments.smoke else 64
    region = arguments.out / "region.zarr"
    posterior = Posterior.load(arguments.posterior)
    make_region(arguments.data, arguments.towers, region, arguments.out)
    report = map_region(posterior, region, arguments.out / "run", draws=draws, start=START, end=END, daily=True, seed=1)
    print(report)
    run_scenario(posterior, region, DRY, arguments.out / "dry", draws=draws, start=START, end=END, seed=1)
    budget = budget_table(arguments.out / "run")
    budget.to_csv(arguments.out / "budget.csv", index=False, float_format="%.6g")
    results = table(budget)
    (arguments.out / "results.md").write_text(results)
    print(results)
    write_report(arguments.out / "run", arguments.out / "report.html", scenario=arguments.out / "dry", budget=budget)
    print(f"wrote {arguments.out}/report.html, budget.csv, run/ and dry/")


def table(budget: pd.DataFrame) -> str:
    """The year by crop as a Markdown page: the two calendar parts of each row are shown as they are, nothing is scaled up."""
    lines = ["| zone | land cover | period | days | flux | gC m-2 | 90 % interval | area ha |", "|---|---|---|---|---|---|---|---|"]
    for row in budget[(budget.quantity == "flux") & (budget.land_cover != "all")].itertuples():
        lines.append(
            f"| {row.zone} | {row.land_cover} | {row.period} | {row.days} | {row.variable} | {row.mean:.0f} "
            f"| {row.q05:.0f} to {row.q95:.0f} | {row.area_ha:.2f} |"
        )
    head = [
        "# E02: Flanders, December 2017 to November 2018",
        "",
        "NEE = RECO - GPP, positive to the atmosphere; spread: " + budget.spread.iloc[0],
    ]
    return "\n".join([*head, "", *lines, ""])


def open_file(folder: Path, name: str) -> xr.Dataset:
    """The one file of the patch whose name begins with `name`, values as stored."""
    found = sorted(folder.glob(f"{name}*.nc"))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} holds {len(found)} files {name}*.nc; one is needed")
    return xr.open_dataset(found[0], engine="h5netcdf", mask_and_scale=False)


def clear_ndvi(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Days of the overpasses and NDVI `[date, y, x]`, NaN where not clear."""
    fine, coarse = open_file(folder, "S2_L2A_10m"), open_file(folder, "S2_L2A_20m")
    red, near = (fine[band].values.astype(np.float32) * 1e-4 for band in ("B04", "B08"))
    label = np.kron(coarse["SCL"].values, np.ones((1, 2, 2), np.uint8))
    cloudy = ~np.isin(label, CLEAR)
    cloudy = np.stack([binary_dilation(one, iterations=RIM) for one in cloudy])
    dark = (fine["B04"].values == 0) | (fine["B08"].values == 0) | (red + near < 0.02)
    ndvi = np.where(cloudy | dark, np.nan, (near - red) / np.maximum(red + near, 1e-3))
    return fine["timestamp"].values.astype("datetime64[D]"), ndvi


def tower_cycle(towers: Path) -> np.ndarray:
    """Mean seasonal cycle of cleaned MODIS FPAR at the crop tower `[366]`."""
    raw = read_series(towers / "satellite" / "modis_fpar_c5_8day.csv.gz")[TOWER]
    series = daily(raw, evergreen=False).dropna()
    return series.groupby(series.index.dayofyear).mean().to_numpy()


def make_region(folder: Path, towers: Path, path: Path, out: Path) -> None:
    """Write the region store, and the harmonisation beside it."""
    weather = open_file(folder, "AgERA5").squeeze(("y", "x"))
    days = weather["timestamp"].values.astype("datetime64[D]")
    dates, ndvi = clear_ndvi(folder)
    when = (dates - days[0]).astype(int)
    seen = (when >= 0) & (when < len(days))
    filled = fill_daily(Observations(when[seen], ndvi[seen], np.mean(np.isfinite(ndvi[seen]), axis=(1, 2))), len(days))

    year = (days >= np.datetime64(START)) & (days <= np.datetime64(END))
    low, high = np.quantile(np.nanmean(filled[year], axis=(1, 2)), [0.1, 0.9])
    low_tower, high_tower = np.quantile(tower_cycle(towers), [0.1, 0.9])
    slope = (high_tower - low_tower) / (high - low)
    offset = low_tower - slope * low
    fapar = np.clip(offset + slope * filled, 0.0, 0.95).astype(np.float32)
    usual = float(np.mean(fapar_of_ndvi(filled[year])))
    line = {
        "slope": slope, "offset": offset, "patch_ndvi_q10_q90": [low, high], "modis_fpar_q10_q90": [low_tower, high_tower],
        "mean_fapar": float(fapar[year].mean()), "mean_fapar_usual_line": usual,
        "clear_dates": int((np.isfinite(ndvi[seen]).mean((1, 2)) > 0.5).sum()),
    }  # fmt: skip
    print(f"fapar = {slope:.2f} NDVI {offset:+.2f} (usual line 1.24 NDVI - 0.17); mean {line['mean_fapar']:.2f} against {usual:.2f}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "harmonisation.json").write_text(json.dumps({name: np.asarray(v).round(4).tolist() for name, v in line.items()}, indent=1))

    labels = open_file(folder, "OUTPUT")
    cover, crop = labels["LC"].values, labels["CT"].values
    plant_type = np.full(cover.shape, 255, np.uint8)
    for code, name in ((11, "CRO"), (13, "GRA"), (60, "URB")):
        plant_type[cover == code] = PLANT_TYPES.index(name)
    zone = np.zeros(cover.shape, np.int32)
    for number, code in enumerate(CROPS, start=1):
        zone[crop == code] = number
    grid = Grid(CRS, west=501360.0, north=5629680.0, pixel=PIXEL, shape=cover.shape, tile=64)
    capacity = np.full(cover.shape, 150, np.float32)
    writer = create_region(
        path, grid, days, weather=drivers(weather, days, towers), plant_type=plant_type, soil_capacity=capacity,
        cell=np.zeros(cover.shape, np.int32), zone=zone, zone_names=dict(enumerate(CROPS.values(), start=1)),
        lead=int(year.argmax()), utc_offset=1, title="Flanders, 640 m, Sentinel-2 and AgERA5 (UTC days)", overwrite=True,
    )  # fmt: skip
    writer.write_all(fapar)


def drivers(weather: xr.Dataset, days: np.ndarray, towers: Path) -> dict[str, np.ndarray]:
    """AgERA5 in vocabulary units `[time, 1]`."""
    index = pd.DatetimeIndex(days)
    day_of_year = index.dayofyear.to_numpy()
    warm, cold = (convert(weather[f"temperature_{end}"].values, "K", "degC") for end in ("max", "min"))
    saturation = lambda t: 6.108 * np.exp(17.27 * t / (t + 237.3))  # noqa: E731  hPa, FAO-56 eq. 11
    series = {
        "tair": convert(weather["temperature_mean"].values, "K", "degC"),
        "tmin": cold,
        "par": convert(weather["solar_radiation_flux"].values, "J m-2 d-1", "MJ m-2 d-1") * PAR_PER_SHORTWAVE,
        "vpd": np.maximum(0.5 * (saturation(warm) + saturation(cold)) - weather["vapour_pressure"].values, 0.0),
        "rain": weather["precipitation_flux"].values,
        "par_potential": potential_par(LATITUDE, day_of_year),
        "day_fraction": day_fraction(LATITUDE, day_of_year),
        "co2": daily_co2(towers)(index),
    }
    return {name: np.asarray(values, np.float32)[:, None] for name, values in series.items()}


if __name__ == "__main__":
    main()
