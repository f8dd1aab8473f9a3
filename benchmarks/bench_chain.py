"""The whole chain: from imagery on disk to a budget with its interval, part by part, and how it grows.

A made-up place: cloud-optimised GeoTIFFs of red, near infrared and labels (deflate) listed in a STAC item collection, daily weather, a
land cover. It is built, mapped with random draws of `static` (daily mean and sd, months, years, totals of zones) and summed up; the draws
are not fitted. Each case runs in a process of its own, after one that fills the compile cache; seconds of the processor are those of all
its threads.

    python benchmarks/bench_chain.py [--sizes 100 200 400] [--draws 100] [--figure docs/scale_chain.png] [--growth]

100 km2 are 1000 x 1000 pixels. Where the largest size is smaller, what that would take is carried over: each part with the slope of its
logarithm against that of the pixels between the two largest sizes, at least 0 and at most 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import present
from bench_map_throughput import a_posterior

from hybridflux.machine import prepare

YEAR, PIXELS = 365, 1000 * 1000
WEST, NORTH, CRS = 500_000.0, 5_400_000.0, "EPSG:32631"
PARTS = ("land, weather", "imagery", "learning", "filling", "tiles", "totals, GeoTIFFs", "budget")


def main() -> None:
    """Run the sizes, print a table, carry over, draw."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400], help="pixels along a side")
    arguments.add_argument("--draws", type=int, default=100)
    arguments.add_argument("--figure", type=Path, help="PNG to write: the parts at 100 km2")
    arguments.add_argument("--growth", action="store_true", help="also with other numbers of draws, years and views")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if not present.package("odc.stac", "the whole chain", "odc-stac"):
        return
    if chosen.one:
        print(json.dumps(one(**json.loads(chosen.one))))
        return
    case(32, chosen.draws)  # fills the compile cache
    found = {size: case(size, chosen.draws) for size in chosen.sizes}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds of the clock / of the processor, {chosen.draws} draws, one year")
    print("  ".join(f"{name:>18}" for name in ("pixels", *PARTS, "all")))
    for size, parts in found.items():
        table([f"{size} x {size}"], parts)
    whole = carried(found)
    table(["carried to 1000^2"], whole)
    core_hours = sum(processor for _, processor in whole.values()) / 3600
    print(f"100 km2 x 1 year x {chosen.draws} draws: {sum(wall for wall, _ in whole.values()):.0f} s, {core_hours:.2f} core-hours")
    if chosen.growth:
        growth(chosen.draws)
    if chosen.figure:
        draw(whole, chosen.figure, chosen.draws)


def table(first: list[str], parts: dict[str, list[float]]) -> None:
    """A line of the table."""
    total = np.sum(list(parts.values()), axis=0)
    print("  ".join(f"{text:>18}" for text in (*first, *(f"{a:.1f} / {b:.1f}" for a, b in (*parts.values(), total)))))


def case(size: int, draws: int, years: int = 1, every: int = 5) -> dict[str, list[float]]:
    """Seconds of the clock and of the processor of each part, of a process of its own."""
    what = json.dumps({"size": size, "draws": draws, "years": years, "every": every})
    command = [sys.executable, "-W", "ignore", __file__, "--one", what]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def slope(found: list[tuple[float, float]]) -> float:
    """Slope of the logarithm of the second against that of the first, between the last two."""
    (x, a), (y, b) = found[-2:]
    return float(np.log(b / a) / np.log(y / x))


def carried(found: dict[int, dict[str, list[float]]]) -> dict[str, list[float]]:
    """The parts at 100 km2."""
    sizes = sorted(found)
    if sizes[-1] ** 2 >= PIXELS or len(sizes) == 1:
        return found[sizes[-1]]
    whole = {}
    for part in PARTS:
        grown = [slope([(size**2, max(found[size][part][which], 1e-3)) for size in sizes]) for which in (0, 1)]
        print(f"{part:>18}: slope against pixels {grown[0]:.2f} of the clock, {grown[1]:.2f} of the processor")
        more = [(PIXELS / sizes[-1] ** 2) ** float(np.clip(one, 0.0, 1.0)) for one in grown]
        whole[part] = [seconds * times for seconds, times in zip(found[sizes[-1]][part], more, strict=True)]
    return whole


def growth(draws: int) -> None:
    """How the seconds of the processor grow with draws, years and views."""
    base = dict(size=200, draws=draws)
    axes = {"draws": [base | {"draws": draws // 4}, base], "years": [base, base | {"years": 3}],
            "views": [base | {"every": 10}, base]}  # fmt: skip
    counts = {"draws": [draws // 4, draws], "years": [1, 3], "views": [1, 2]}
    for name, cases in axes.items():
        used = [case(**one) for one in cases]
        each = {part: slope([(n, max(parts[part][1], 1e-3)) for n, parts in zip(counts[name], used, strict=True)]) for part in PARTS}
        total = slope([(n, sum(processor for _, processor in parts.values())) for n, parts in zip(counts[name], used, strict=True)])
        print(f"{name:>8}: all {total:.2f}; " + ", ".join(f"{part} {one:.2f}" for part, one in each.items()))


def one(size: int, draws: int, years: int, every: int) -> dict[str, list[float]]:
    """Run the chain in this process."""
    prepare()
    with tempfile.TemporaryDirectory() as name:
        folder, parts = Path(name), {part: [0.0, 0.0] for part in PARTS}
        days = np.datetime64("2018-01-01") + np.arange((years + 1) * YEAR)
        made_up_place(folder, size, days, every)
        posterior = a_posterior(draws)
        chain(folder, size, days, posterior, draws, parts)
        return parts


def chain(folder: Path, size: int, days: np.ndarray, posterior, draws: int, parts: dict) -> None:
    """Build, map and sum up, the functions of each part timed."""
    from hybridflux.ingest import run_build
    from hybridflux.ingest.build import build_region
    from hybridflux.products.budget import budget_table
    from hybridflux.region.draws.spread import Draws
    from hybridflux.region.map import map_region
    from hybridflux.region.outputs import KEEP, DailyMaps
    from hybridflux.region.run import run_job

    config = place_config(folder, size, days)
    timed(run_build, "_prepare", parts["land, weather"])
    timed(run_build, "learn_processes", parts["learning"])
    timed(run_build, "_run", parts["imagery"], parts["filling"])  # scenes, then tiles
    timed(run_job, "_run", parts["tiles"])
    timed(run_job, "_finish", parts["totals, GeoTIFFs"])
    build_region(config, folder / "region.zarr")
    map_region(posterior, folder / "region.zarr", folder / "run", draws=Draws(draws, "parameter"), keep=(*KEEP, DailyMaps()))
    began, used = time.perf_counter(), time.process_time()
    table = budget_table(folder / "run")
    parts["budget"][:] = time.perf_counter() - began, time.process_time() - used
    assert (table["q95"] > table["q05"]).any(), "the budget has an interval"


def place_config(folder: Path, size: int, days: np.ndarray, also: Sequence[str] = ()):
    """The configuration of the made-up place; the first year is warm-up."""
    from hybridflux.ingest.config import RegionConfig

    return RegionConfig.model_validate({
        "id": "made-up", "title": "A made-up place", "utc_offset": 1,
        "grid": {"crs": CRS, "west": WEST, "south": NORTH - 10 * size, "east": WEST + 10 * size, "north": NORTH, "tile": min(200, size)},
        "period": {"start": str(days[YEAR]), "end": str(days[-1]), "lead": YEAR}, "vegetation": {"also": list(also)},
        "imagery": [{"dataset": "sentinel-2-l2a", "place": str(folder / "items.json")}],
        "weather": {"dataset": "agera5", "place": str(folder)}, "landcover": [{"dataset": "worldcover", "place": str(folder)}],
        "soil": {"capacity": 120},
    })  # fmt: skip


def timed(module, name: str, *calls: list[float]) -> None:
    """Add the seconds of a function to the list of its call, the last list for all that follow."""
    run, number = getattr(module, name), iter([*calls[:-1]])

    def wrapped(*arguments, **options):
        part, began, used = next(number, calls[-1]), time.perf_counter(), time.process_time()
        found = run(*arguments, **options)
        part[0] += time.perf_counter() - began
        part[1] += time.process_time() - used
        return found

    setattr(module, name, wrapped)


def made_up_place(folder: Path, size: int, days: np.ndarray, every: int) -> None:
    """Images every few days with clouds in patches, weather, land cover."""
    import pystac
    import rasterio
    import xarray as xr
    from odc.geo.geobox import GeoBox
    from rasterio.transform import from_origin

    random, side = np.random.default_rng(0), -(-size // 25)
    level, items = 0.1 * random.standard_normal((size, size)), []
    grid = GeoBox((size, size), from_origin(WEST, NORTH, 10, 10), CRS)
    form = dict(driver="COG", count=1, crs=CRS, compress="deflate", nodata=0)
    for day in range(2, len(days), every):
        ndvi = 0.55 - 0.3 * np.cos(2 * np.pi * (day + 40) / 365) + level + 0.02 * random.standard_normal((size, size))
        red = np.full((size, size), 0.05)
        label = np.where(random.random((side, side)) < 0.5, 9, 4).repeat(25, 0).repeat(25, 1)[:size, :size]
        bands = {"B04": red, "B08": red * (1 + ndvi) / (1 - np.clip(ndvi, -0.9, 0.93))}
        stored = {name: np.rint(values * 1e4).astype(np.uint16) for name, values in bands.items()} | {"SCL": label.astype(np.uint8)}
        item = pystac.Item(
            f"S2A_31UDQ_{days[day]}_L2A", grid.geographic_extent.json, list(grid.geographic_extent.boundingbox.bbox),
            (days[day] + np.timedelta64(11, "h")).astype("datetime64[us]").item(),
            {"proj:code": CRS, "s2:processing_baseline": "02.12", "s2:mgrs_tile": "31UDQ"},
            stac_extensions=["https://stac-extensions.github.io/projection/v2.0.0/schema.json"], collection="scenes",
        )  # fmt: skip
        for name, values in stored.items():
            step = 2 if name == "SCL" else 1
            path, part = folder / f"{days[day]}_{name}.tif", values[::step, ::step]
            place = from_origin(WEST, NORTH, 10 * step, 10 * step)
            with rasterio.open(path, "w", dtype=part.dtype, height=part.shape[0], width=part.shape[1], transform=place, **form) as file:
                file.write(part, 1)
            fields = {"proj:shape": list(part.shape), "proj:transform": list(place)}
            item.add_asset(name, pystac.Asset(str(path), media_type=pystac.MediaType.COG, extra_fields=fields))
        items.append(item)
    pystac.ItemCollection(items).save_object(str(folder / "items.json"))
    code = np.array([30, 40, 10], np.uint8)[random.integers(0, 3, (side, side))].repeat(25, 0).repeat(25, 1)[:size, :size]
    cover = folder / "ESA_WorldCover_10m_2021_v200_N48E003_Map.tif"
    with rasterio.open(cover, "w", driver="GTiff", height=size, width=size, count=1, dtype="uint8", crs=CRS, nodata=0,
                       transform=from_origin(WEST, NORTH, 10, 10)) as file:  # fmt: skip
        file.write(code, 1)
    season = -np.cos(2 * np.pi * np.arange(len(days)) / 365)[:, None, None] + np.zeros((1, 2, 2))
    mean = 283.15 + 8 * season
    values = {
        "temperature_mean": mean, "temperature_min": mean - 5, "temperature_max": mean + 5, "solar_radiation_flux": (9 + 7 * season) * 1e6,
        "precipitation_flux": random.gamma(0.3, 7, mean.shape), "vapour_pressure": 9 + 4 * season,
    }  # fmt: skip
    units = {"solar_radiation_flux": "J m-2 d-1", "precipitation_flux": "mm d-1", "vapour_pressure": "hPa"}
    dims = ("time", "lat", "lon")
    data = xr.Dataset({name: (dims, one.astype(np.float32), {"units": units.get(name, "K")}) for name, one in values.items()})
    data = data.assign_coords(time=days.astype("datetime64[ns]"), lat=[48.8, 48.6], lon=[2.9, 3.2])
    data.to_netcdf(folder / "agera5.nc", engine="h5netcdf")


def draw(parts: dict[str, list[float]], path: Path, draws: int) -> None:
    """Bars of the parts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    used = [processor for _, processor in parts.values()]
    bars = axes.barh(list(parts), used, color=["#4c78a8"] * 4 + ["#f58518"] * 3)
    axes.bar_label(bars, [f"{one:.1f} s" for one in used], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(f"processor seconds: 100 km$^2$, one year, {draws} draws\nblue: building the region; orange: mapping it, budget")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
