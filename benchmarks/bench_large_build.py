"""`ile-de-france`, simulated: the real `hybridflux region build` on a share of its tiles, against a server with the faults of real ones.

The server of `local_server.py`, in a process of its own, answers the search with the items of both Sentinel-2 tiles of the region and
sends COGs of 10980 x 10980 pixels by ranges; many addresses lead to few files (four seasons of fields, eight skies), so that the disk stays
small, while every request and byte is sent. Its rate is bounded, each answer comes late, and some requests meet a stall, 429 with
Retry-After, 500, or end too soon. Land cover is a file, soil a number, the weather AgERA5 of the region's cells.

Two shares of the region are built, each from its first request to the complete store: a small one over many dates and a wider one over few.
Between them, a scene costs what it costs whatever its size, and what each pixel adds; filling and learning are carried over from the small
one by pixel-days and dates. Beside it stands what `--dry-run` plans for the share and for the region.

    python benchmarks/bench_large_build.py [--days 730] [--tiles 4] [--quick] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import present
from local_server import local_server

REGION, CRS, PIXELS = "ile-de-france", "EPSG:32631", 10980
CORNERS = {"31UDP": (399960, 5400000), "31UDQ": (399960, 5500020)}  # upper left, metres
COVERED, SHARE = "31UDQ", (624_000.0, 6_866_000.0)  # the tile whose files have values, and the upper left corner of the shares
SEASONS, SKIES, FIELD, CLOUD = (45, 137, 228, 320), 8, 20, 50  # days of the year; skies; pixels along a field and a cloud
WIDE, WIDE_DAYS = 12, 60  # tiles along a side of the wider share, and its days
RATE, LATENCY = 10e6, 0.05  # bytes a second of all connections, as the plan assumes; seconds before each answer
FAULTS = {"stall": (0.002, {"stall": 3.0}), "429": (0.003, {"status": 429, "headers": {"Retry-After": "1"}}),
          "500": (0.003, {"status": 500}), "cut": (0.002, {"cut": 3000})}  # fmt: skip
SEED, REVISIT, BLOCK = 1, 4, 2048
COMMAND = (sys.executable, "-W", "ignore", "-c", "from hybridflux.cli import main; main()", "region", "build")


def main() -> None:
    """Serve, build two shares, carry over, print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--days", type=int, default=730, help="days of the small share, of 2556 of the region")
    arguments.add_argument("--tiles", type=int, default=4, help="tiles along a side of the small share")
    arguments.add_argument("--quick", action="store_true", help="few tiles and days, to see that it works")
    arguments.add_argument("--out", type=Path, help="folder to work in; a temporary one that is removed, where none is named")
    arguments.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if not present.package("odc.stac", "the simulated region", "odc-stac"):
        return
    if chosen.serve:
        serve(chosen.serve)
        return
    with tempfile.TemporaryDirectory(prefix="hybridflux-") as temporary:
        measure(chosen.out or Path(temporary), 2 if chosen.quick else chosen.tiles, 120 if chosen.quick else chosen.days)


def measure(folder: Path, tiles: int, days: int) -> None:
    """Both shares and the region."""
    from hybridflux.ingest.config import load_config

    folder.mkdir(parents=True, exist_ok=True)
    whole = load_config(REGION)
    if not (folder / "agera5.nc").exists():  # the last one that is written
        make_files(folder, whole)
    with subprocess.Popen([sys.executable, __file__, "--serve", str(folder)], stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().strip()
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {RATE / 1e6:g} MB/s, {1000 * LATENCY:g} ms before each answer")
            small = build(folder, "small", address, tiles, days)
            wide = build(folder, "wide", address, WIDE, WIDE_DAYS)
        finally:
            server.terminate()
    carried(whole, small, wide)


def configuration(address: str, folder: Path, tiles: int, days: int) -> str:
    """The configuration of a share of the region, as TOML: that of the region but for its edges, days, and the places of its data."""
    from hybridflux.ingest.config import load_config

    grid, side = load_config(REGION).grid, 10 * 128 * tiles
    return f"""
id = "share"
title = "A share of {REGION}"
utc_offset = 1
[grid]
crs = "{grid.crs}"
west = {SHARE[0]}
south = {SHARE[1] - side}
east = {SHARE[0] + side}
north = {SHARE[1]}
tile = {grid.tile}
[period]
start = 2017-01-01
end = {np.datetime64("2017-01-01") + days - 1}
lead = 0
[vegetation]
also = ["lswi", "nirv"]
like = {{ lswi = "modis-1km-points" }}
[[imagery]]
dataset = "sentinel-2-l2a"
place = "{address}#sentinel-2-c1-l2a"
[weather]
dataset = "agera5"
place = "{folder}"
[[landcover]]
dataset = "worldcover"
place = "{folder}"
[soil]
capacity = 120
"""


def build(folder: Path, name: str, address: str, tiles_along: int, days: int) -> dict:
    """Plan and build a share by the command line; seconds of its parts, processor, memory, requests and bytes."""
    path, out = folder / f"{name}.toml", folder / f"{name}.zarr"
    path.write_text(configuration(address, folder, tiles_along, days))
    command = [*COMMAND, str(path), "--out", str(out)]
    said = subprocess.run([*command, "--dry-run"], check=True, capture_output=True, text=True).stdout
    before, began, load = counts(address), time.monotonic(), os.getloadavg()[0]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen = {"scenes": [], "tiles": []}  # seconds of the clock and of the processor at each
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if match := re.match(r"building \d+/\d+: (tile )?", line):
                seen["tiles" if match[1] else "scenes"].append(np.array([time.monotonic() - began, processor_of(process.pid)]))
            elif "error" in line:
                print(line, end="")
    assert process.returncode == 0, "the build failed"
    after, now = counts(address), resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = np.array([time.monotonic() - began, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime])
    scenes, tiles = seen["scenes"], seen["tiles"]
    found = {
        "tiles": tiles_along**2, "days": days, "dates": len(scenes), "all": whole, "memory": now.ru_maxrss / 1024,
        "before": scenes[0], "scenes": scenes[-1] - scenes[0], "learning": tiles[0] - scenes[-1], "filling": tiles[-1] - tiles[0],
        "rest": whole - tiles[-1],
        "stored": sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
        "views": sum(file.stat().st_size for file in out.with_suffix(".build").rglob("*") if file.is_file()),
    } | {key: after[key] - before[key] for key in ("sent", "requests", *FAULTS)}  # fmt: skip
    loads = f"load {load:.1f} to {os.getloadavg()[0]:.1f}"
    print(f"\n{name}: {tiles_along} x {tiles_along} tiles of 128 pixels, {days} days, {found['dates']} dates; {loads}")
    names = "all", "before", "scenes", "learning", "filling", "rest"
    parts = ", ".join(f"{part} {found[part][0]:.0f} / {found[part][1]:.0f}" for part in names)
    print(f"  seconds of the clock / of the processor: {parts}; {found['memory']:.0f} MiB at most")
    faults = ", ".join(f"{found[kind]} x {kind}" for kind in FAULTS)
    print(f"  {found['requests']} requests, {found['sent'] / 1e6:.0f} MB sent; {faults}; {found['stored'] / 1e6:.0f} MB stored, "
          f"{found['views'] / 1e6:.0f} MB beside it")  # fmt: skip
    print_planned(said)
    return found


def processor_of(process: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counts(address: str) -> dict:
    """What the server has done."""
    with urllib.request.urlopen(f"{address}/counts") as answer:
        return json.load(answer)


def carried(whole, small: dict, wide: dict) -> None:
    """The region, from the two shares."""
    rows, columns = whole.region_grid.shape
    days, dates = len(whole.period.days), len(range(0, len(whole.period.days), REVISIT))
    blocks = [min(BLOCK, rows - y) * min(BLOCK, columns - x) for y in range(0, rows, BLOCK) for x in range(0, columns, BLOCK)]
    both = 1.2  # items a block: a fifth of the region lies in both tiles of Sentinel-2

    def of_scenes(what: str) -> np.ndarray:
        each = [share[what] / share["dates"] for share in (small, wide)]
        slope = np.maximum((each[1] - each[0]) / (128**2 * (wide["tiles"] - small["tiles"])), 0.0)
        fixed = np.maximum(each[0] - slope * 128**2 * small["tiles"], 0.0)
        return dates * both * sum(fixed + slope * pixels for pixels in blocks)

    pixel_days = small["tiles"] * 128**2 * small["days"]
    parts = {
        "scenes": of_scenes("scenes"), "learning": small["learning"] * dates / small["dates"],
        "filling": small["filling"] / (pixel_days * (1 - 1 / small["tiles"])) * rows * columns * days,
    }  # fmt: skip
    stored = small["stored"] / pixel_days * rows * columns * days
    views = small["views"] / (small["tiles"] * small["dates"]) * len(whole.region_grid) * dates
    print(f"\n{REGION}, carried over: {len(whole.region_grid)} tiles, {days} days, {dates} dates, {len(blocks)} blocks a date")
    shown = {name: one / 3600 for name, one in (parts | {"all": sum(parts.values())}).items()}
    print("  hours of the clock / of the processor: " + ", ".join(f"{name} {one[0]:.2f} / {one[1]:.2f}" for name, one in shown.items()))
    print(f"  {of_scenes('sent') / 1e9:.0f} GB in {of_scenes('requests') / 1e3:.0f} thousand requests; {stored / 1e9:.0f} GB stored, "
          f"{views / 1e9:.0f} GB beside it")  # fmt: skip
    print_planned(subprocess.run([*COMMAND, REGION, "--dry-run", "--out", "r.zarr"], check=True, capture_output=True, text=True).stdout)


def print_planned(said: str) -> None:
    """What a plan says of imagery, bytes and time."""
    lines = [f"    {line.strip()}" for line in said.splitlines() if re.match(r" +(imagery|to |time)", line)]
    print("\n".join(["  planned:", *lines]), flush=True)


def make_files(folder: Path, whole) -> None:
    """COGs of the wider share, land cover and weather."""
    import rasterio
    import xarray as xr
    from rasterio.transform import from_origin
    from rasterio.warp import transform_bounds

    west, north = SHARE
    edges = transform_bounds(whole.grid.crs, CRS, west, north - 1280 * WIDE, west + 1280 * WIDE, north)
    left, top = CORNERS[COVERED]
    (x, y), (right, lower) = ([2048 * int(round_(one / 20480)) for one in (far, down)] for round_, far, down in (
        (np.floor, edges[0] - left, top - edges[3]), (np.ceil, edges[2] - left, top - edges[1])))  # fmt: skip
    width, height = right - x, lower - y  # whole blocks of the files, which are sent whole
    dice, fields = np.random.default_rng(0), (-(-height // FIELD), -(-width // FIELD))
    level = (0.1 * dice.standard_normal(fields)).repeat(FIELD, 0).repeat(FIELD, 1)[:height, :width]

    def write(name: str, values: np.ndarray, step: int) -> None:
        side, rows, columns = PIXELS // step, y // step, x // step
        form = dict(driver="COG", count=1, dtype=values.dtype, height=side, width=side, crs=CRS, nodata=0, blocksize=1024)
        place = from_origin(left, top, 10 * step, 10 * step)
        with rasterio.open(folder / f"{name}.tif", "w", transform=place, compress="deflate", level=1, sparse_ok=True, **form) as file:
            file.write(values, 1, window=((rows, rows + values.shape[0]), (columns, columns + values.shape[1])))

    for day in SEASONS:
        ndvi = 0.5 - 0.3 * np.cos(2 * np.pi * (day + 40) / 365) + level + 0.02 * dice.standard_normal((height, width))
        red = 0.05 + 0.003 * dice.standard_normal((height, width))
        bands = {"B04": red, "B08": red * (1 + ndvi) / (1 - np.clip(ndvi, -0.9, 0.93)), "B11": 0.35 - 0.25 * ndvi}
        for band, values in bands.items():
            step = 2 if band == "B11" else 1
            write(f"{day}_{band}", np.rint((values[::step, ::step] + 0.1) * 1e4).clip(1, 65535).astype(np.uint16), step)
    for sky in range(SKIES):
        clouds = dice.random((-(-height // CLOUD), -(-width // CLOUD))) < 0.55
        label = np.where(clouds.repeat(CLOUD, 0).repeat(CLOUD, 1)[:height:2, :width:2], 9, 4)
        write(f"sky{sky}", label.astype(np.uint8), 2)
    edges, side = transform_bounds(whole.grid.crs, "EPSG:4326", west, north - 1280 * WIDE, west + 1280 * WIDE, north), 1 / 3600
    shape = int((edges[3] - edges[1]) / side) + 40, int((edges[2] - edges[0]) / side) + 40
    code = np.array([30, 40, 10, 50], np.uint8)[dice.integers(0, 4, (-(-shape[0] // 9), -(-shape[1] // 9)))]
    with rasterio.open(
        folder / "ESA_WorldCover_10m_2021_v200_N48E000_Map.tif", "w", driver="GTiff", count=1, dtype="uint8", crs="EPSG:4326", nodata=0,
        height=shape[0], width=shape[1], transform=from_origin(edges[0] - 20 * side, edges[3] + 20 * side, side, side),
    ) as file:  # fmt: skip
        file.write(code.repeat(9, 0).repeat(9, 1)[: shape[0], : shape[1]], 1)
    days = np.datetime64("2017-01-01") + np.arange(len(whole.period.days))
    west, south, east, north = whole.extent
    lat, lon = np.arange(north + 0.2, south - 0.2, -0.1).round(1), np.arange(west - 0.2, east + 0.2, 0.1).round(1)
    season = -np.cos(2 * np.pi * np.arange(len(days)) / 365.25)[:, None, None] + np.zeros((1, len(lat), len(lon)))
    mean = 283.15 + 8 * season
    values = {
        "temperature_mean": mean, "temperature_min": mean - 5, "temperature_max": mean + 5, "solar_radiation_flux": (9 + 7 * season) * 1e6,
        "precipitation_flux": dice.gamma(0.3, 7, mean.shape), "vapour_pressure": 9 + 4 * season,
    }  # fmt: skip
    units = {"solar_radiation_flux": "J m-2 d-1", "precipitation_flux": "mm d-1", "vapour_pressure": "hPa"}
    data = xr.Dataset({n: (("time", "lat", "lon"), v.astype(np.float32), {"units": units.get(n, "K")}) for n, v in values.items()})
    data.assign_coords(time=days.astype("datetime64[ns]"), lat=lat, lon=lon).to_netcdf(folder / "agera5.nc", engine="h5netcdf")


def serve(folder: Path) -> None:
    """The service, until it is ended; prints its address."""
    dice, faults = random.Random(SEED), dict.fromkeys(FAULTS, 0)

    def chance(path: str) -> dict | None:
        number = dice.random()
        for kind, (share, fault) in FAULTS.items():
            if number < share and path != "/counts":
                faults[kind] += 1
                return fault
            number -= share
        return None

    with local_server() as server:
        server.answers = Answers(folder, server.address, lambda: {"sent": server.sent, "requests": server.seen.total()} | faults)
        server.chance, server.rate, server.latency = chance, RATE, LATENCY
        print(server.address, flush=True)
        time.sleep(24 * 3600)


class Answers:
    """What the service answers: the search by pages, and for the files of a date one of the few that there are."""

    def __init__(self, folder: Path, address: str, counts):
        self.folder, self.address = folder, address
        days = np.datetime64("2017-01-01") + np.arange(0, 2556, REVISIT)
        self.items = [self.item(tile, day) for day in days for tile in CORNERS]
        self.fixed = {"/": self.landing(), "/search": self.search, "/counts": lambda path, body: counts()}

    def get(self, path: str):
        """The answer to a path."""
        match = re.fullmatch(r"/S2_(\w{5})_(\d{4}-\d\d-\d\d)_(\w+)\.tif", path)
        if match is None:
            return self.fixed.get(path)
        day, number = np.datetime64(match[2]), hash_of(match[2])
        of_year = int((day - day.astype("datetime64[Y]")).astype(int))
        season = min(SEASONS, key=lambda one: min(abs(one - of_year), 365 - abs(one - of_year)))
        return self.folder / (f"sky{number % SKIES}.tif" if match[3] == "SCL" else f"{season}_{match[3]}.tif")

    def landing(self) -> dict:
        """The landing page of the service."""
        links = [{"rel": "root", "href": self.address, "type": "application/json"},
                 {"rel": "search", "href": f"{self.address}/search", "type": "application/geo+json", "method": "POST"}]  # fmt: skip
        conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        return {"type": "Catalog", "id": "c", "description": "d", "stac_version": "1.0.0", "conformsTo": conforms, "links": links}

    def search(self, path: str, body: bytes) -> dict:
        """A page of the items whose time and footprint are asked for."""
        asked = json.loads(body)
        early, late = asked["datetime"].split("/")
        west, south, east, north = asked["bbox"]
        found = [item for item in self.items if early <= item["properties"]["datetime"] <= late and item["bbox"][0] < east
                 and item["bbox"][2] > west and item["bbox"][1] < north and item["bbox"][3] > south]  # fmt: skip
        start, size = int(asked.get("token", 0)), int(asked.get("limit", 10))
        more = {"rel": "next", "href": f"{self.address}/search", "method": "POST", "body": asked | {"token": str(start + size)}}
        page = {"type": "FeatureCollection", "features": found[start : start + size], "links": [more] if start + size < len(found) else []}
        return page | {"numberMatched": len(found)}

    def item(self, tile: str, day: np.datetime64) -> dict:
        """An item as earth-search describes it."""
        from rasterio.warp import transform_bounds

        left, top = CORNERS[tile]
        box = list(transform_bounds(CRS, "EPSG:4326", left, top - 10 * PIXELS, left + 10 * PIXELS, top))
        ring = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]
        assets = {}
        for band, size in {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B05": 20, "B8A": 20, "B11": 20, "B12": 20, "SCL": 20}.items():
            bits = {"nodata": 0} | ({"data_type": "uint8"} if band == "SCL" else {"data_type": "uint16", "scale": 1e-4, "offset": -0.1})
            grid = {"proj:shape": [PIXELS * 10 // size] * 2, "proj:transform": [size, 0, left, 0, -size, top]}
            href = f"{self.address}/S2_{tile}_{day}_{band}.tif"
            assets[band] = {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"], "raster:bands": [bits]} | grid
        properties = {"datetime": f"{day}T10:56:31Z", "platform": "sentinel-2a", "proj:code": CRS, "s2:processing_baseline": "05.00",
                      "grid:code": f"MGRS-{tile}", "created": f"{day}T20:00:00Z"}  # fmt: skip
        extension = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
        return {"type": "Feature", "stac_version": "1.0.0", "id": f"S2A_{tile}_{day}_L2A", "collection": "sentinel-2-c1-l2a", "bbox": box,
                "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties, "assets": assets, "links": [],
                "stac_extensions": [extension]}  # fmt: skip


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(text.encode()) % 1_000_003


if __name__ == "__main__":
    main()
