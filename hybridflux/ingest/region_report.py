"""Report on a region store for the terminal: coverage, gaps, ranges, origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.data.weather.daily_weather import MORE
from hybridflux.ingest.soil_moisture import against_bucket
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.drivers.open import Region, open_region, unpacked
from hybridflux.region.drivers.plausible_drivers import LEVELS, Finding, findings, worst
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.check_region import daily_maps
from hybridflux.vocabulary import PLANT_TYPE_NAMES, PLANT_TYPES, VARIABLES

OTHER_DAYS = "the days of the weather differ from those of the region"
UNCERTAIN = 0.1  # sd of fapar above which a day is uncertain: a third of the seasonal range of a crop


@dataclass(frozen=True)
class Summary:
    """Quantiles and gaps of one daily map over the pixels of the region.

    Attributes:
        name: name of the map.
        low: 1 % quantile.
        middle: mean.
        high: 99 % quantile.
        missing: share of pixels and days without a value.
    """

    name: str
    low: float
    middle: float
    high: float
    missing: float


@dataclass(frozen=True)
class RegionReport:
    """Result of `hybridflux region check`.

    Attributes:
        text: text of the whole report.
        findings: comparison with the declared ranges.
    """

    text: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> str:
        """The worst level of the findings: `ok`, `odd` or `wrong`."""
        return worst(self.findings)

    def __str__(self) -> str:
        return self.text


def check(path: str | Path) -> RegionReport:
    """Report the content of a region and compare it with the usual ranges.

    Raises:
        FileNotFoundError: no such region.
        ValueError: all faults that make it unfit to be mapped.
    """
    region = open_region(path)
    compared = findings(region)
    lines = [f"{path}: {region.title}", *_frame(region), "", "land cover:", *_cover(region), "", "daily maps:", *_maps(region), ""]
    lines += ["weather:", *_weather(region), "", *_scenes(region), *against_bucket(region)]
    counts = ", ".join(f"{sum(finding.level == level for finding in compared)} {level}" for level in LEVELS)
    lines += [f"compared with the usual ranges: {counts}", *(f"  {finding}" for finding in compared), "", *_origin(region)]
    return RegionReport("\n".join(lines), compared)


def summarise(region: Region, name: str) -> Summary:
    """Summary of a daily map, one tile in memory at a time."""
    parts, missing, count = [], 0, 0
    for tile in region.tiles():
        stored = region.map_of(name, tile)[:, region.map_of("plant_type", tile) != layout.OUTSIDE]
        known = stored != layout.NODATA
        missing, count = missing + int((~known).sum()), count + stored.size
        if known.any():
            parts.append(np.bincount(stored[known].astype(np.int64) - layout.NODATA, minlength=2**16))
    counts = np.sum(parts, axis=0) if parts else np.zeros(2**16, int)
    values, total = (np.arange(2**16) + layout.NODATA) * layout.SCALE, max(counts.sum(), 1)
    share = np.cumsum(counts) / total
    quantile = [float(values[np.searchsorted(share, level)]) if parts else np.nan for level in (0.01, 0.99)]
    return Summary(name, quantile[0], float((values * counts).sum() / total), quantile[1], missing / max(count, 1))


def _frame(region: Region) -> Iterator[str]:
    rows, columns = region.grid.shape
    size = rows * columns * region.grid.pixel**2 * 1e-6
    first = region.days[min(region.warm_up, len(region.days) - 1)]
    yield f"  {rows} x {columns} pixels of {region.grid.pixel:g} m, {size:.3g} km2, {plural(len(region.grid), 'tile')}, {region.grid.crs}"
    yield f"  {first} to {region.days[-1]} to map, {region.warm_up} days of warm-up before, days of {region.time_zone}"


def _cover(region: Region) -> Iterator[str]:
    counts = np.bincount(region.group["plant_type"][:].reshape(-1), minlength=layout.OUTSIDE + 1)
    for number in np.argsort(counts)[::-1]:
        if counts[number]:
            code = PLANT_TYPES[number] if number != layout.OUTSIDE else None
            name = f"{code} {PLANT_TYPE_NAMES[code]}" if code else "outside, or not mapped"
            yield f"  {100 * counts[number] / counts.sum():5.1f} %  {name}"
    zones = np.unique(region.group["zone"][:])
    named = ": " + ", ".join(list(region.zone_names.values())[:8]) if region.zone_names else ""
    yield f"  {plural(int(np.count_nonzero(zones)), 'zone')}{named}"


def _maps(region: Region) -> Iterator[str]:
    yield f"  {'':<10}{'1 %':>8}{'mean':>8}{'99 %':>8}{'missing':>10}"
    for name in daily_maps(region.group):
        summary = summarise(region, name)
        yield f"  {name:<10}{summary.low:8.3f}{summary.middle:8.3f}{summary.high:8.3f}{100 * summary.missing:9.1f} %"
    if sd_of("fapar") in region.names:
        uncertain = np.mean([
            (unpacked(region.map_of(sd_of("fapar"), tile)[region.warm_up :]) > UNCERTAIN).mean() for tile in region.tiles()
        ])  # fmt: skip
        yield f"  sd of fapar above {UNCERTAIN:g} on {100 * uncertain:.1f} % of the mapped days and pixels"


def _weather(region: Region) -> Iterator[str]:
    if layout.WEATHER_DAYS in region.group.attrs:
        yield f"  {OTHER_DAYS} ({region.time_zone}): {region.group.attrs[layout.WEATHER_DAYS]}"
    cells = region.group["tair"].shape[1]
    yield f"  {cells} cell{'s' if cells > 1 else ''}; mean of the mapped days:"
    for name in (*layout.WEATHER, *(more for more in MORE if more in region.names)):
        values = region.group[name][region.warm_up :]
        yield f"  {name:<14}{values.mean():8.2f}  ({values.min():.2f} to {values.max():.2f}) {VARIABLES[name].units}"


def _scenes(region: Region) -> Iterator[str]:
    scenes = region.group.attrs.get("scenes")
    if not scenes:
        return
    days, clear = np.array([scene["day"] for scene in scenes], "datetime64[D]"), np.array([scene["clear"] for scene in scenes])
    good = np.unique(days[clear > 0.5])
    first = region.days[region.warm_up]
    gaps = np.diff(np.concatenate([[first], good[good >= first], [region.days[-1]]])).astype(int)
    views = region.group.attrs["views"]
    rejected = 100 * views["rejected"] / max(views["clear"], 1)
    yield f"scenes: {len(scenes)}, of which {(clear > 0.5).sum()} are clear on more than half of the region, {(clear == 0).sum()} nowhere"
    yield f"  longest time without such a scene: {gaps.max()} days; median interval {np.median(gaps):.0f} days"
    yield f"  {views['clear']:,} clear views of a pixel, {rejected:.1f} % rejected as undetected clouds"
    yield ""


def _origin(region: Region) -> Iterator[str]:
    attributes = region.group.attrs
    provenance = attributes.get("provenance", {})
    commit = f"commit {(provenance.get('git') or {}).get('commit')}"
    yield f"made {provenance.get('time')} by hybridflux {provenance.get('hybridflux')}, {commit}"
    yield f"checksums: {checksums.say(region.path, region.group)}"
    for credit in attributes.get("attribution", ()):
        yield f"  {credit}"
    if attributes.get("note"):
        yield f"note: {attributes['note']}"


def plural(count: int, what: str) -> str:
    """A count with its noun.

    >>> plural(1, "zone"), plural(3, "zone")
    ('1 zone', '3 zones')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"
