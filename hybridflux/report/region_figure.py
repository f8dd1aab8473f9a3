"""One picture of a region: its land, vegetation and soil moisture, and the fluxes of a run over it. NEE is positive to the atmosphere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hybridflux.ingest.soil_moisture import bucket_of
from hybridflux.ours import MAKER
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.drivers.open import Region, open_region, unpacked
from hybridflux.region.drivers.plausible_drivers import MONTHS, middle_latitude, vegetation_courses
from hybridflux.region.drivers.ranges import VEGETATION
from hybridflux.region.store import layout
from hybridflux.report.map_viewer import COLOURS, open_group
from hybridflux.report.style import plain_units
from hybridflux.vocabulary import PLANT_TYPES

MOST_BANDS = 4  # land covers drawn beside their usual range: more bands would hide each other
HIGHEST = {"fapar": 0.95}  # of the colours of a map
WIDEST = 400  # pixels along the longer side of a map; more are left out evenly
YEAR, PART = plain_units("gC m-2 yr-1"), plain_units("gC m-2")
_COVER = {"CRO": "#e3b23c", "GRA": "#9cc96b", "DBF": "#3f7d3a", "ENF": "#1d4d4f", "MF": "#5d8a66", "EBF": "#2f6b4f", "WET": "#6fa8a6"}
_OTHER = "#b9b4ad"


def draw_region(path: str | Path, out: str | Path, run: str | Path | None = None, vegetation: str = "fapar") -> None:
    """Write a PNG: maps of land cover, vegetation and its sd, and of a run its GPP, NEE and the sd of NEE; below them the series.

    Args:
        path: region store.
        out: file to write.
        run: folder of `hybridflux map` over this region.
        vegetation: daily map that is shown: that which the model of the run reads.

    Raises:
        ValueError: the region is not complete, or the run has no annual maps.
    """
    import matplotlib
    from matplotlib.figure import Figure

    region = open_region(path)
    maps = [*_land_maps(region, vegetation), *(_flux_maps(region, run) if run else ())]
    with matplotlib.rc_context({"font.size": 9, "axes.titlesize": 9, "axes.titlelocation": "left", "axes.spines.top": False,
                                "axes.spines.right": False, "figure.facecolor": "white"}):  # fmt: skip
        columns = min(3, len(maps))
        rows = -(-len(maps) // columns)
        figure = Figure(figsize=(4.2 * columns, 3.5 * rows + 7.0), layout="constrained")
        figure.suptitle(region.title, fontweight="bold", fontsize=11)
        upper, lower = figure.subfigures(2, 1, height_ratios=[3.5 * rows, 7.0])
        for ax, draw in zip(np.ravel(upper.subplots(rows, columns, squeeze=False)), maps, strict=False):
            draw(ax)
        year, *series = lower.subplots(3, 1)
        _year(year, region)
        _vegetation(series[0], region, vegetation)
        _water(series[1], region)
        series[0].sharex(series[1])
        maker = "Software" if Path(out).suffix.lower() == ".png" else "Creator"
        figure.savefig(out, dpi=90, metadata={maker: MAKER})


def _stride(region: Region) -> int:
    return max(1, -(-max(region.grid.shape) // WIDEST))


def _show(ax, values, title, colours, units, low=None, high=None, step=10.0) -> None:
    """A map with its colour bar; axes in km."""
    height, width = (size * step / 1000 for size in values.shape)
    image = ax.imshow(values, cmap=colours, vmin=low, vmax=high, extent=(0, width, 0, height), interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label=units)
    ax.set_title(title)
    ax.set_xlabel("km")
    ax.set_facecolor("#eeeeee")


def _land_maps(region: Region, vegetation: str) -> Iterator:
    stride = _stride(region)
    step = region.grid.pixel * stride
    kinds = region.group["plant_type"][::stride, ::stride]

    def cover(ax):
        from matplotlib.colors import to_rgb
        from matplotlib.patches import Patch

        image = np.ones((*kinds.shape, 3)) * 0.93
        names = [PLANT_TYPES[code] for code in np.unique(kinds) if code != layout.OUTSIDE]
        for name in names:
            image[kinds == PLANT_TYPES.index(name)] = to_rgb(_COVER.get(name, _OTHER))
        ax.imshow(image, extent=(0, kinds.shape[1] * step / 1000, 0, kinds.shape[0] * step / 1000), interpolation="nearest")
        ax.legend(handles=[Patch(color=_COVER.get(name, _OTHER), label=name) for name in names], fontsize=7, loc="lower right")
        ax.set_title("land cover (IGBP)")
        ax.set_xlabel("km")

    yield cover
    mean, units = _means(region, vegetation, stride), f"{vegetation} (no unit)"
    yield lambda ax: _show(ax, mean, f"{vegetation}, mean of the mapped days", "YlGn", units, 0, HIGHEST.get(vegetation), step)
    if sd_of(vegetation) in region.names:
        sd = _means(region, sd_of(vegetation), stride)
        yield lambda ax: _show(ax, sd, f"sd of daily {vegetation}, mean of the mapped days", "BuPu", f"sd of {units}", 0, None, step)


def _means(region: Region, name: str, stride: int) -> np.ndarray:
    """Mean over the mapped days `[y, x]`, NaN where missing."""
    means = np.full(region.grid.shape, np.nan, np.float32)
    for tile in region.tiles():
        stored = region.group[name][region.warm_up :, tile.y, tile.x]
        means[tile.y, tile.x] = np.where((stored == layout.NODATA).any(axis=0), np.nan, unpacked(stored).mean(axis=0))
    return means[::stride, ::stride]


def _flux_maps(region: Region, run: str | Path) -> Iterator:
    annual = open_group(run, "annual")
    if annual is None:
        raise ValueError(f"{run} has no annual maps; is the run complete?")
    stride, whole = _stride(region), int(np.argmax(annual["days"].values))
    year = annual.isel(time=whole, y=slice(None, None, stride), x=slice(None, None, stride))
    label, step = f"{str(year.time.values)[:4]}, {int(year['days'])} days", region.grid.pixel * stride
    gpp, nee, sd = (year[name].values for name in ("GPP", "NEE", "NEE_sd"))
    reach = float(np.nanquantile(np.abs(nee), 0.98)) if np.isfinite(nee).any() else 1.0
    units = YEAR if int(year["days"]) >= 365 else PART  # the sum of a part of a year is none of a year
    yield lambda ax: _show(ax, gpp, f"GPP {label}", COLOURS["GPP"], units, 0, None, step)
    yield lambda ax: _show(ax, nee, f"NEE {label} (negative: uptake)", COLOURS["NEE"], units, -reach, reach, step)
    yield lambda ax: _show(ax, sd, f"sd of NEE {label}", COLOURS["sd"], units, 0, None, step)


def _year(ax, region: Region) -> None:
    """Monthly means of fapar of the largest land covers, each beside its usual range."""
    latitude = middle_latitude(region)
    courses = [course for course in vegetation_courses(region, latitude) if course.name == "fapar"]
    months = np.arange(1, 13)
    for course in sorted(courses, key=lambda course: -course.pixels)[:MOST_BANDS]:
        low, high = VEGETATION["fapar"][course.code].at(latitude)
        colour = _COVER.get(course.code, _OTHER)
        ax.fill_between(months, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.plot(months, np.stack([low, high], 1), color=colour, linewidth=0.6, linestyle=":")
        ax.plot(months, course.mean, "o-", color=colour, markersize=3, linewidth=1.4, label=f"{course.code}, {course.pixels:,} pixels")
    ax.set_ylim(0, 1)
    ax.set_xticks(months, [name[:3] for name in MONTHS])
    ax.set_ylabel("fapar")
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)  # beside the curves, which fill the panel
    ax.set_title("monthly mean fapar (points), and its usual range for the land cover at towers (bands)")


def _vegetation(ax, region: Region, name: str) -> None:
    """A daily map averaged over each plant type, with its sd; marks on the days of clear scenes."""
    kinds = region.group["plant_type"][:]
    for code in np.unique(kinds[kinds != layout.OUTSIDE]):
        total, sd_total, count = np.zeros(len(region.days)), np.zeros(len(region.days)), 0
        for tile in region.tiles():
            inside = (kinds[tile.y, tile.x] == code).reshape(-1)
            stored = region.group[name][:, tile.y, tile.x].reshape(len(region.days), -1)[:, inside]
            known = (stored != layout.NODATA).all(axis=0)
            total += unpacked(stored[:, known]).sum(axis=1)
            count += int(known.sum())
            if sd_of(name) in region.names:
                of_tile = region.group[sd_of(name)][:, tile.y, tile.x].reshape(len(region.days), -1)[:, inside]
                sd_total += unpacked(of_tile[:, known]).sum(axis=1)
        if count:
            colour = _COVER.get(PLANT_TYPES[code], _OTHER)
            ax.fill_between(region.days, (total - sd_total) / count, (total + sd_total) / count, color=colour, alpha=0.2, linewidth=0)
            ax.plot(region.days, total / count, color=colour, linewidth=1.2, label=PLANT_TYPES[code])
    clear = [np.datetime64(scene["day"]) for scene in region.group.attrs.get("scenes", ()) if scene["clear"] > 0.5]
    ax.plot(clear, np.full(len(clear), 0.01), "|", color="black", markersize=5, label="mostly clear scene")
    ax.set_ylabel(name)
    ax.set_ylim(0, 1 if name == "fapar" else None)
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    ax.set_title(f"mean {name} of each plant type, with the sd of daily {name} of a pixel")


def _water(ax, region: Region) -> None:
    """Relative water of a bucket at typical parameters, rain by month, satellite soil moisture where the store has some."""
    ax.plot(region.days, bucket_of(region).mean(axis=1), color="#2b6ca3", linewidth=1.2, label="bucket at typical parameters")
    if "moisture" in region.group:
        for name, place in sorted(region.group["moisture"].groups()):
            days = layout.EPOCH + place["time"][:].astype("timedelta64[D]")
            for array_name, array in sorted(place.arrays()):
                values = array[:]
                seen = np.isfinite(values).any(axis=-1)
                if array.metadata.dimension_names == ("time", "cell") and seen.any():
                    ax.plot(days[seen], np.nanmean(values[seen], axis=1), ".", markersize=4, label=f"{name} {array_name}")
    rain = region.weather(("rain",), slice(0, len(region.days)))["rain"].mean(axis=1)
    months, number = np.unique(region.days.astype("datetime64[M]"), return_inverse=True)
    twin = ax.twinx()
    twin.bar(months.astype("datetime64[D]") + 15, np.bincount(number, rain), width=20, color="#9db8cf", alpha=0.5, zorder=0)
    twin.set_ylabel("rain, mm a month")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("relative soil water")
    ax.legend(fontsize=7, loc="lower left")
    ax.set_xlim(region.days[0], region.days[-1])
    ax.set_title("soil water and rain")
