"""Synthetic towers in the layout of a download: FLUXNET daily files, satellite series, a table of sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.spreadsheet import write_csv
from hybridflux.twin.phenology import make_greenness
from hybridflux.twin.pixel_fapar import water_stress, wilt
from hybridflux.twin.satellite import fill_daily, observe, reflectance_of
from hybridflux.twin.true_model import NOISE, Places, draw_places, true_fluxes
from hybridflux.twin.weather_generator import Climate, make_weather
from hybridflux.units import GC_PER_UMOL_PER_SECOND_DAY, PAR_PER_SHORTWAVE, convert
from hybridflux.vocabulary import MISSING_FLUXNET, PLANT_TYPES

ORDER = ("DBF", "ENF", "CRO", "GRA", "MF", "CRO", "DBF", "ENF", "GRA", "CRO", "DBF", "EBF")
"""Plant types of the first twelve towers; then again from the start."""
SLOTS = 48  # half-hours of a day
WILTING, FIELD = 0.11, 0.31  # m3 m-3, of the soil water sensor
OUTAGE = 0.012, 0.022  # chance of an instrument failing on a summer and on a winter day
OUTAGE_DAYS = 9.0
SEEN = "fapar", "par", "par_potential"  # drivers that decide what a satellite sees of a place
POOR_DAY = 0.16, 0.34  # chance of less than 75 % good half-hours on other days, in summer and in winter


@dataclass(frozen=True)
class TowerTruth:
    """Truth at the towers.

    Attributes:
        sites: site_id, name, lat, lon, elev, igbp, utc_offset, soil_capacity.
        days: `datetime64[D]` `[time]`.
        drivers: true drivers `[time, site]` and `soil_capacity` `[site]`.
        places: true parameters of the sites.
        fluxes: true fluxes and states `[time, site]`.
    """

    sites: pd.DataFrame
    days: np.ndarray
    drivers: dict[str, np.ndarray]
    places: Places
    fluxes: dict[str, np.ndarray]


def make_towers(folder: str | Path, number: int, years: tuple[int, int], rng: np.random.Generator, reflectance: bool = False) -> TowerTruth:
    """Simulate towers and write their folder, as `hybridflux.data.towers.open_towers` reads it.

    Args:
        folder: folder to write.
        number: number of towers.
        years: first and last year, both included.
        rng: source of random numbers.
        reflectance: write clear views of reflectance too; nothing else changes.
    """
    folder = Path(folder)
    days = np.arange(f"{years[0]}-01-01", f"{years[1] + 1}-01-01", dtype="datetime64[D]")
    sites, climate = _sites(number, rng)
    drivers = whole_half_hours(make_weather(climate, days, rng))
    plant_type = sites["igbp"].map(PLANT_TYPES.index).to_numpy()
    drivers["soil_capacity"] = sites["soil_capacity"].to_numpy(np.float32)
    drivers["fapar"] = _vegetation(sites, drivers, days, plant_type, rng)
    drivers["co2"] = np.repeat(_co2(days)[:, None], number, 1)
    places = draw_places(plant_type, rng, one_region=False)
    fluxes = {name: np.asarray(values) for name, values in true_fluxes(places.model(), drivers).items()}

    write_csv(sites, folder / "sites.csv")
    means = pd.Series(_co2(days), days.astype("datetime64[Y]").astype(int) + 1970).groupby(level=0).mean()
    write_csv(means.rename("co2_ppm").rename_axis("year").round(2).reset_index(), folder / "co2_annual.csv")
    for i, site in enumerate(sites["site_id"]):
        of_site = {name: v[:, i] for name, v in drivers.items() if v.ndim == 2}
        write_fluxes(folder, site, days, of_site, {name: v[:, i] for name, v in fluxes.items()}, rng)
    series = [seen_from_space(site, days, {name: drivers[name][:, i] for name in SEEN}, rng) for i, site in enumerate(sites["site_id"])]
    write_csv(pd.concat(series), folder / "satellite" / "sentinel2_fapar.csv.gz")
    if reflectance:
        _reflectance(folder, sites, days, drivers, rng.spawn(1)[0])
    return TowerTruth(sites, days, drivers, places, fluxes)


def _sites(number, rng):
    codes = np.resize(np.array(ORDER), number)
    latitude, longitude = rng.uniform(46.8, 50.6, number), rng.uniform(-0.5, 6.0, number)
    elevation = rng.uniform(40, 320, number)
    count = pd.Series(codes).groupby(codes).cumcount() + 1
    sites = pd.DataFrame(
        {
            "site_id": [f"XX-{code[0]}{code[1].lower()}{n}" for code, n in zip(codes, count, strict=True)],
            "name": [f"Twin {code} {n}" for code, n in zip(codes, count, strict=True)],
            "lat": latitude.round(4), "lon": longitude.round(4), "elev": elevation.round(0), "igbp": codes, "utc_offset": 1,
            "soil_capacity": (rng.uniform(120, 290, number) + 110 * np.isin(codes, ("DBF", "ENF", "MF", "EBF"))).round(0),
            "network": "synthetic", "license": "CC0-1.0",
        }
    )  # fmt: skip
    kilometres = 111.2
    climate = Climate(
        sites["lat"].to_numpy(),
        kilometres * np.cos(np.radians(48.7)) * sites["lon"].to_numpy(),
        kilometres * sites["lat"].to_numpy(),
        sites["elev"].to_numpy(),
    )
    return sites, climate


def whole_half_hours(weather):
    """Day length as a tower counts it, in half-hours."""
    return weather | {"day_fraction": (np.round(weather["day_fraction"] * SLOTS) / SLOTS).astype(np.float32)}


def _co2(days):
    """CO2 [ppm] on the line through the middles of the years, as the reader draws it."""
    return (414.0 + 2.4 * ((days - np.datetime64("2020-07-02")).astype(int) / 365.25)).astype(np.float32)


def _vegetation(sites, drivers, days, plant_type, rng):
    """True fapar `[time, site]`: the calendar of each site, wilted by the drought."""
    first = days[0].astype("datetime64[Y]").astype(int) + 1970
    crops = np.where((sites["igbp"] == "CRO").to_numpy()[:, None], rng.permuted([["wheat", "maize", "wheat"]] * len(sites), axis=1), "")
    weather = {name: value for name, value in drivers.items() if value.ndim == 2}
    green = make_greenness(sites["igbp"], crops, days, first, rng)
    return wilt(green.fapar, water_stress(green.fapar, weather, drivers["soil_capacity"]), plant_type).astype(np.float32)


def seen_from_space(site: str, days: np.ndarray, drivers: Mapping[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
    """A daily series of fapar from 3 x 3 pixels, made by the same observation and filling as the region's: site_id, date, fapar.

    Args:
        site: its site_id.
        days: `[time]`.
        drivers: `SEEN` at the site `[time]`.
        rng: of clouds and noise.
    """
    truth = np.repeat(drivers["fapar"], 9).reshape(-1, 3, 3)
    seen = fill_daily(observe(truth, drivers["par"] / drivers["par_potential"], rng), len(days)).mean(axis=(1, 2))
    return pd.DataFrame({"site_id": site, "date": days, "fapar": seen.round(4)})


def _reflectance(folder, sites, days, drivers, rng):
    """Reflectance of the clear views of a pixel at each site, as a user would export it."""
    parts = []
    for i, site in enumerate(sites["site_id"]):
        seen = observe(drivers["fapar"][:, i, None, None], drivers["par"][:, i] / drivers["par_potential"][:, i], rng)
        fapar = seen.fapar[:, 0, 0]
        clear = np.isfinite(fapar)
        parts.append(pd.DataFrame({"site_id": site, "date": days[seen.when[clear]]} | reflectance_of(fapar[clear])))
    write_csv(pd.concat(parts), folder / "reflectance" / "reflectance.csv.gz", float_format="%.5f")


def write_fluxes(
    folder: Path, site: str, days: np.ndarray, drivers: Mapping[str, np.ndarray], fluxes: Mapping[str, np.ndarray], rng: np.random.Generator
) -> None:
    """Write what a tower measures, as a daily FLUXNET file.

    Args:
        folder: of the towers.
        site: its site_id.
        days: of whole years `[time]`.
        drivers: true ones `[time]`.
        fluxes: true ones `[time]`.
        rng: of errors and gaps.
    """
    name = f"FLX_{site}_FLUXNET2015_FULLSET_DD_{str(days[0])[:4]}-{str(days[-1])[:4]}.csv.gz"
    write_csv(_fluxnet(days, drivers, fluxes, rng), folder / "fluxnet_dd" / name, float_format="%.5g")


def _fluxnet(days, drivers, fluxes, rng):
    """One FLUXNET daily table: measured and filled days, day and night parts, partitioned fluxes, soil water."""
    light = drivers["day_fraction"]
    nee, night = (fluxes[name] + _error(fluxes[name], rng) for name in ("nee", "nee_night"))
    quality = _quality(days, rng)
    filled = quality < 0.75
    nee = np.where(filled, fluxes["nee"] * rng.normal(0.9, 0.15) + 0.3 * rng.standard_normal(len(days)), nee)
    night = np.where(filled, fluxes["nee_night"], night)
    day = (nee - (1 - light) * night) / light
    slow = 1 + 0.12 * np.convolve(rng.standard_normal(len(days) + 60), np.ones(61) / 61**0.5, "valid")
    reco = fluxes["reco"] * slow
    shortwave = {name: convert(drivers[name] / PAR_PER_SHORTWAVE, "MJ m-2 d-1", "W m-2") for name in ("par", "par_potential")}
    tair, below = drivers["tair"], drivers["tair"] - drivers["tair_night"]
    swc = WILTING + (FIELD - WILTING) * fluxes["soil_water"] / np.max(fluxes["soil_water"]) + 0.006 * rng.standard_normal(len(days))
    columns = {
        "TIMESTAMP": np.char.replace(days.astype(str), "-", ""),
        "TA_F": tair, "TA_F_QC": 1, "TA_F_NIGHT": drivers["tair_night"], "TA_F_DAY": tair + below * (1 - light) / light,
        "TMIN_F": drivers["tmin"], "TMAX_F": drivers["tmax"],
        "SW_IN_POT": shortwave["par_potential"], "SW_IN_F": shortwave["par"], "SW_IN_F_QC": 1,
        "VPD_F": drivers["vpd"], "VPD_F_QC": 1, "P_F": drivers["rain"], "P_F_QC": 1, "P_SOURCE": "tower", "MET_SOURCE": "tower",
        "NIGHT_D": np.round(SLOTS * (1 - light)).astype(int), "DAY_D": np.round(SLOTS * light).astype(int),
        "NEE_VUT_REF": nee, "NEE_VUT_REF_QC": quality,
        "NEE_VUT_REF_NIGHT": night / GC_PER_UMOL_PER_SECOND_DAY, "NEE_VUT_REF_NIGHT_QC": quality,
        "NEE_VUT_REF_DAY": day / GC_PER_UMOL_PER_SECOND_DAY, "NEE_VUT_REF_DAY_QC": quality,
        "GPP_NT_VUT_REF": reco - nee, "GPP_DT_VUT_REF": fluxes["gpp"] * (2 - slow), "RECO_NT_VUT_REF": reco,
        "RECO_DT_VUT_REF": fluxes["reco"] * (2 - slow), "SWC_F_MDS_1": 100 * swc, "FLUX_SOURCE": "twin",
    }  # fmt: skip
    table = pd.DataFrame(columns)
    lost = quality < 0.05
    gone = [name for name in table if name.startswith(("NEE_VUT_REF", "GPP", "RECO")) and not name.endswith("QC")]
    table.loc[lost, gone] = MISSING_FLUXNET
    return table


def _error(flux, rng):
    """Laplace error with a scale that grows with the flux."""
    return rng.laplace(size=len(flux)) * (NOISE["noise_floor"] + NOISE["noise_slope"] * np.abs(flux))


def _quality(days, rng):
    """Share of good half-hours on each day: outages of about a week, poor days, more of both in winter."""
    winter = 0.5 + 0.5 * np.cos(2 * np.pi * ((days - days.astype("datetime64[Y]")).astype(int) - 15) / 365.25)
    failing = rng.random(len(days)) < OUTAGE[0] + (OUTAGE[1] - OUTAGE[0]) * winter
    poor = rng.random(len(days)) < POOR_DAY[0] + (POOR_DAY[1] - POOR_DAY[0]) * winter
    quality = np.where(poor, rng.uniform(0.25, 0.75, len(days)), rng.uniform(0.75, 1.0, len(days)))
    for start in np.flatnonzero(failing):
        quality[start : start + 1 + rng.geometric(1 / OUTAGE_DAYS)] = 0.0
    return quality.round(3)
