"""What a region store holds: coverage, gaps, ranges, origin, in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.data.weather.weather import MORE
from hybridflux.ingest.moisture import against_bucket
from hybridflux.region.draws.fapar_error import SD
from hybridflux.region.drivers.open import Region, open_region, unpacked
from hybridflux.region.drivers.plausible_drivers import LEVELS, Finding, findings, worst
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.check_region import daily_maps
from hybridflux.vocabulary import PLANT_TYPE_NAMES, PLANT_TYPES, VARIABLES

WEATHER_SAYS = "the weather is of other days than the region"
UNSURE = 0.1  # sd of fapar above which a day says little about its pixel: a third of the seasonal range of a crop


@dataclass(frozen=True)
class Summary:
    """Numbers of one daily map over the pixels of the region.

    Attributes:
        name: of the map.
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
    """What `hybridflux region check` says.

    Attributes:
        text: of the whole report.
        findings: the region held against declared ranges.
    """

    text: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> str:
        """The worst of the findings: `ok`, `odd` or `wrong`."""
        return worst(self.findings)

    def __str__(self) -> str:
        return self.text


def check(path: str | Path) -> RegionReport:
    """Look at a region: what it holds, and whether it looks like a region.

    Raises:
        FileNotFoundError: no region there.
        ValueError: everything that makes it unfit to be mapped, at once.
    """
    region = open_region(path)
    found = findings(region)
    lines = [f"{path}: {region.title}", *_frame(region), "", "land cover:", *_cover(region), "", "daily maps:", *_maps(region), ""]
    lines += ["weather:", *_weather(region), "", *_scenes(region), *against_bucket(region)]
    counts = ", ".join(f"{sum(one.level == level for one in found)} {level}" for level in LEVELS)
    lines += [f"held against the usual ranges: {counts}", *(f"  {one}" for one in found), "", *_origin(region)]
    return RegionReport("\n".join(lines), found)


def check_text(path: str | Path) -> str:
    """The text of `check`."""
    return check(path).text


def summarise(region: Region, name: str) -> Summary:
    """Numbers of a daily map, one tile in memory at a time."""
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
    first = region.days[min(region.lead, len(region.days) - 1)]
    yield f"  {rows} x {columns} pixels of {region.grid.pixel:g} m, {size:.3g} km2, {plural(len(region.grid), 'tile')}, {region.grid.crs}"
    yield f"  {first} to {region.days[-1]} to map, {region.lead} days of lead before, days of {region.time_zone}"


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
        found = summarise(region, name)
        yield f"  {name:<10}{found.low:8.3f}{found.middle:8.3f}{found.high:8.3f}{100 * found.missing:9.1f} %"
    if SD in region.names:
        unsure = np.mean([
            (unpacked(region.map_of(SD, tile)[region.lead :]) > UNSURE).mean() for tile in region.tiles()
        ])  # fmt: skip
        yield f"  sd of fapar above {UNSURE:g} on {100 * unsure:.1f} % of the mapped days and pixels"


def _weather(region: Region) -> Iterator[str]:
    if layout.WEATHER_DAYS in region.group.attrs:
        yield f"  {WEATHER_SAYS} ({region.time_zone}): {region.group.attrs[layout.WEATHER_DAYS]}"
    cells = region.group["tair"].shape[1]
    yield f"  {cells} cell{'s' if cells > 1 else ''}; mean of the mapped days:"
    for name in (*layout.WEATHER, *(more for more in MORE if more in region.names)):
        values = region.group[name][region.lead :]
        yield f"  {name:<14}{values.mean():8.2f}  ({values.min():.2f} to {values.max():.2f}) {VARIABLES[name].units}"


def _scenes(region: Region) -> Iterator[str]:
    scenes = region.group.attrs.get("scenes")
    if not scenes:
        return
    days, clear = np.array([scene["day"] for scene in scenes], "datetime64[D]"), np.array([scene["clear"] for scene in scenes])
    good = np.unique(days[clear > 0.5])
    gaps = np.diff(np.concatenate([[region.days[region.lead]], good[good >= region.days[region.lead]], [region.days[-1]]])).astype(int)
    views = region.group.attrs["views"]
    rejected = 100 * views["rejected"] / max(views["clear"], 1)
    yield f"scenes: {len(scenes)}, of which {(clear > 0.5).sum()} are clear on more than half of the region, {(clear == 0).sum()} nowhere"
    yield f"  longest time without such a scene: {gaps.max()} days; middle distance {np.median(gaps):.0f} days"
    yield f"  {views['clear']:,} clear views of a pixel, {rejected:.1f} % rejected as cloud left over"
    yield ""


def _origin(region: Region) -> Iterator[str]:
    attributes = region.group.attrs
    made = attributes.get("provenance", {})
    yield f"made {made.get('time')} by hybridflux {made.get('hybridflux')}, commit {(made.get('git') or {}).get('commit')}"
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
