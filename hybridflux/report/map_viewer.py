"""Maps of a run as bytes for the viewer of the page: few enough pixels and dates to fit in one file."""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pyproj import Transformer

from hybridflux.region.store.checksums import check_maps
from hybridflux.report.fitted_maps import BYTES, fitted
from hybridflux.report.style import ASSETS, units
from hybridflux.time import warm_season
from hybridflux.vocabulary import FLUXES

LEVELS = 254  # a byte is 0 to 254 from the low to the high end of the colour scale; 255 is outside
OUTSIDE = 255
COLOURS = {"NEE": "BrBG_r", "GPP": "YlGn", "RECO": "YlOrBr", "sd": "BuPu"}
ANOMALY = "NEE_anomaly"
"""Anomalies of the years, where the run keeps them (`AnomalyMaps`)."""
ENDS = {
    "NEE": ("uptake (negative)", "release to the atmosphere (positive)"), "GPP": None, "RECO": None,
    ANOMALY: ("more uptake (negative)", "less uptake (positive)"), "NEE_trend": ("uptake grows (negative)", "uptake falls (positive)"),
}  # fmt: skip
GROUPS = {"annual": "Years", "monthly": "Months", "daily": "Days"}
TREND = {"NEE_trend": "BrBG_r", "GPP_trend": "BrBG", "RECO_trend": "BrBG_r", "rising": "PuOr_r"}
"""Colours of the trends of the record, where the run keeps them (`TrendMaps`); all are centred but the share of the draws that rise."""
ON_PAGE = GROUPS | {"record": "Trend"}
MOST = {"annual": 800_000, "monthly": 1_200_000, "daily": 700_000, "record": 300_000}
"""Characters of the maps of a group on the page, which stays below 5 MB for any region."""
SIDES = {"annual": 400, "monthly": 300, "daily": 160, "record": 300}
SMALLEST = 96
RANGE = 0.995  # quantile of |value| at the end of a colour scale


@dataclass(frozen=True)
class Sampling:
    """Which pixels and dates of a store are shown.

    Attributes:
        stride: distance of the shown pixels, in pixels.
        step: distance of the shown dates, in dates.
        frames: indices on the time axis.
    """

    stride: int
    step: int
    frames: np.ndarray


def sample(times: int, height: int, width: int, side: int, layers: int, room: int = BYTES) -> Sampling:
    """Pixels and dates that fit in a room of bytes, before compression: first fewer pixels, then fewer dates, evenly spaced.

    >>> sample(12, 200, 200, 300, 6).stride, len(sample(365, 200, 200, 160, 6).frames)
    (1, 183)
    """
    fits = math.sqrt(room / (times * layers))
    stride = max(1, math.ceil(max(height, width) / max(min(side, fits), min(side, SMALLEST))))
    pixels = math.ceil(height / stride) * math.ceil(width / stride)
    step = max(1, math.ceil(times * pixels * layers / room))
    return Sampling(stride, step, np.arange(0, times, step))


def open_group(run: str | Path, group: str):
    """A group of the run's store as xarray, its maps by their names, or None where the run has not written it."""
    import xarray as xr

    path = Path(run) / "fluxes.zarr"
    if not (path / group).is_dir():
        return None
    data = xr.open_zarr(path, group=group, consolidated=False)
    return data[sorted(data.data_vars)]  # zarr lists them in any order


def run_viewer(run: str | Path) -> dict | None:
    """Data of the viewer for mean and sd of a run, JSON-ready; None without maps.

    Raises:
        ValueError: maps differ from those that the run wrote; names them.
    """
    check_maps(Path(run))
    groups = [fitted(partial(_group, data, name), MOST[name]) for name in ON_PAGE if (data := _opened(run, name)) is not None]
    if not groups:
        return None
    first = "monthly" if any(group["id"] == "monthly" for group in groups) else groups[0]["id"]
    shown = next(group for group in groups if group["id"] == first)
    begin = first_frame(shown["frames"], latitude_of(open_group(run, first)))
    colours = COLOURS | (TREND if any(group["id"] == "record" for group in groups) else {})
    return {"groups": groups, "first": first, "frame": begin, "luts": luts(colours.values())}


def panel(values: np.ndarray, name: str, title: str, colours: str, *, centred: bool, ends=None, top: float | None = None) -> dict:
    """One map panel: frames `[time, y, x]`, NaN outside, as bytes on a rounded colour scale.

    Args:
        values: the map.
        name: its short name, for the line below the maps.
        title: heading, HTML.
        colours: name of the colour map.
        centred: whether the scale is symmetric about zero.
        ends: words below the low and the high end.
        top: end of the scale; by default a round number that nearly all values stay below.
    """
    if top is None:
        known = np.abs(values[np.isfinite(values)])
        top = nice(float(np.quantile(known, RANGE))) if known.size else 1.0
    low = -top if centred else 0.0
    level = np.clip(np.rint((values - low) / (top - low) * LEVELS), 0, LEVELS)
    level = np.where(np.isfinite(level), level, OUTSIDE).astype(np.uint8)
    step = top / (2 if centred else 4)
    digits = next(n for n in range(12) if abs(round(step, n) - step) < 1e-9 * top)
    return {
        "name": name, "title": title, "lo": low, "hi": top, "digits": digits, "lut": colours, "ends": ends,
        "data": base64.b64encode(zlib.compress(level.tobytes(), 9)).decode(),
    }  # fmt: skip


def nice(value: float) -> float:
    """A round number not below a positive value, for the end of a colour scale; its quarters have few digits.

    >>> [nice(x) for x in (0.013, 3.1, 420.0)]
    [0.016, 3.2, 480.0]
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(round(step * power, 12) for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 4.8, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def luts(names) -> dict[str, str]:
    """Colour maps as 256 x RGB bytes in base64."""
    import matplotlib

    return {
        name: base64.b64encode((matplotlib.colormaps[name](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes()).decode()
        for name in dict.fromkeys(names)
    }


def grid_of(data) -> dict:
    """Size and position of the shown pixels, m."""
    x, y = data["x"].values, data["y"].values
    return {"width": len(x), "height": len(y), "metres": abs(float(x[1] - x[0])), "x0": float(x[0]), "y0": float(y[0])}


def unit_of(data, group: str) -> str:
    """Units of a group of maps; a sum over part of a year is not per year."""
    if group == "record":
        return "gC m-2 yr-2"
    if group != "annual":
        return "gC m-2 d-1"
    return "gC m-2 yr-1" if int(data["days"].min()) >= 365 else "gC m-2"


def colours_of(layer: str) -> str | None:
    """Colours of a layer by the name of its array, `NEE`, `NEE_anomaly` or `NEE_trend_rising`; None where it is no carbon flux.

    >>> colours_of("GPP"), colours_of("GPP_anomaly"), colours_of("tair")
    ('YlGn', 'BrBG', None)
    """
    flux, _, compared = layer.partition("_")
    if compared == "trend_rising" and flux in FLUXES:
        return TREND["rising"]
    return TREND[f"{flux}_trend"] if flux in FLUXES and compared in ("anomaly", "trend") else COLOURS.get(layer)


def dates(data, group: str) -> list[str]:
    """Labels of the frames: `2018`, `2018-06` or `2018-06-21`; with the number of days where only a part of the year or month is mapped."""
    return labels(data["time"].values, data["days"].values if "days" in data else None, group)


def labels(first: np.ndarray, mapped: np.ndarray | None, group: str) -> list[str]:
    """Labels of frames, as `dates` gives them.

    Args:
        first: first mapped day of each frame.
        mapped: number of mapped days in each; None where all are whole.
        group: `annual`, `monthly`, `daily`, or `record`, whose frame is named by its first and last year.

    >>> labels(np.array(["2018-01-01", "2018-02-01"], "datetime64[D]"), np.array([31, 5]), "monthly")
    ['2018-01', '2018-02, 5 days']
    """
    if group == "record":
        day = first.astype("datetime64[D]")
        return [f"{str(one)[:4]}-{str(one + int(days) - 1)[:4]}" for one, days in zip(day, mapped, strict=True)]
    unit = {"annual": "Y", "monthly": "M", "daily": "D"}[group]
    begun = first.astype(f"datetime64[{unit}]")
    whole = ((begun + 1).astype("datetime64[D]") - begun.astype("datetime64[D]")).astype(int)
    days = whole if mapped is None else mapped
    named = zip(np.datetime_as_string(begun), days, whole, strict=True)
    return [str(label) + (f", {int(here)} days" if here < full else "") for label, here, full in named]


def _opened(run, name: str):
    """A group of the run's store that has frames, else None."""
    data = open_group(run, name)
    return data if data is not None and data.sizes.get("time") else None


def _group(data, name: str, room: int) -> dict:
    """One group of frames: a layer per flux, each with a panel of the mean and one of the sd, of trends also of the draws that rise."""
    trends = name == "record"
    fluxes = [flux for flux in ([one for one in TREND if one != "rising"] if trends else (*FLUXES, ANOMALY)) if flux in data]
    shown = sample(data.sizes["time"], data.sizes["y"], data.sizes["x"], SIDES[name], (2 + trends) * len(fluxes), room)
    data = data.isel(time=shown.frames, y=slice(None, None, shown.stride), x=slice(None, None, shown.stride))
    unit = units(unit_of(data, name))
    layers = []
    for flux in fluxes:
        mean, sd = data[flux].values, data[f"{flux}_sd"].values
        of, label = flux.partition("_")[0], flux.replace("_", " ")
        panels = [
            panel(mean, label, f"{label}, mean [{unit}]", TREND.get(flux, COLOURS[of]), centred=trends or of == "NEE", ends=ENDS.get(flux)),
            panel(sd, "sd", f"{label}, standard deviation [{unit}]", COLOURS["sd"], centred=False),
        ]  # fmt: skip
        if trends:
            title, ends = f"{label}, share of the draws above zero, without structural error", ("all fall", "all rise")
            panels.append(panel(data[f"{flux}_rising"].values, "rising", title, TREND["rising"], centred=False, ends=ends, top=1.0))
        layers.append({"name": label, "sd": True, "panels": panels})
    named = {"id": name, "label": ON_PAGE[name], "units": unit, "frames": dates(data, name), "stride": shown.stride, "step": shown.step}
    return named | {"layers": layers} | grid_of(data)


def viewer_data(maps: dict[str, dict | None]) -> str:
    """Data and script of the map viewers of a page."""
    data = "\n".join(_data(name, value) for name, value in maps.items() if value)
    return f'{data}\n<script>{(ASSETS / "maps.js").read_text(encoding="utf-8")}</script>'


def _data(name: str, value: dict) -> str:
    """Data of a map viewer; `</` is kept from ending the element."""
    text = json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
    return f'<script type="application/json" id="{name}">{text}</script>'


def first_frame(frames: list[str], latitude: float) -> int:
    """The first frame shown: the first of the second month of the warm season (June, in the south December), or the middle one.

    >>> first_frame(["2018-01", "2018-06", "2018-12"], 48.0), first_frame(["2018-01", "2018-06", "2018-12"], -35.0)
    (1, 2)
    """
    season = warm_season(latitude)
    inside = [i for i, frame in enumerate(frames) if frame[5:7] == f"{season[1]:02d}"] if len(season) < 12 else []
    return inside[0] if inside else len(frames) // 2


def latitude_of(data) -> float:
    """Latitude of the middle of a group of maps [degrees north]."""
    x, y = (float(data[name].values.mean()) for name in ("x", "y"))
    return float(Transformer.from_crs(data["spatial_ref"].attrs["crs_wkt"], "EPSG:4326", always_xy=True).transform(x, y)[1])
