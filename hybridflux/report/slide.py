"""A picture of one product of one year for a slide: map with north arrow, scale, sign, interval of the region, spread and credit."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import fill, shorten

import numpy as np
from pyproj import Transformer

from hybridflux.files import whole
from hybridflux.ours import MAKER
from hybridflux.products.budget import budget_of
from hybridflux.products.totals import ALL, REGION, open_totals, run_record
from hybridflux.region.store.checksums import check_maps
from hybridflux.report.map_viewer import COLOURS, ENDS, RANGE, dates, nice, open_group, unit_of
from hybridflux.report.style import interval, number, plain_units
from hybridflux.vocabulary import FLUXES

SIZE, DPI = (12.8, 7.2), 150  # inches; 1920 x 1080 pixels
WIDEST = 900  # pixels of a map along its longer side; of a larger one every second, third ... is drawn
NAMES = {"NEE": "Net ecosystem exchange NEE = RECO − GPP", "GPP": "Gross primary productivity GPP", "RECO": "Ecosystem respiration RECO"}
OTHER_COLOURS = "viridis"
ARROW = 50  # pixels, length of the north arrow
WEAK = 2.0  # standard deviations below which the sign of NEE is hatched


def write_slide(run: str | Path, out: str | Path, *, variable: str = "NEE", year: int | None = None) -> Path:
    """Write a PNG of 1920 x 1080 pixels of the annual map of a run.

    Args:
        run: folder written by `map_region`.
        out: PNG file.
        variable: NEE, GPP, RECO, or another quantity of which the run keeps annual maps.
        year: which year; the last one by default.

    Returns:
        The file.

    Raises:
        ValueError: the name does not end in .png, or the run has no such map; it names those there are.
    """
    import matplotlib
    from matplotlib.figure import Figure

    run, out = Path(run), Path(out)
    if out.suffix.lower() != ".png":
        raise ValueError(f"{out}: a picture for a slide is a PNG; give it a name that ends in .png")
    check_maps(run)
    frame, label, unit = _frame(run, variable, year)
    stride = max(1, -(-max(frame.sizes["y"], frame.sizes["x"]) // WIDEST))
    shown = frame.isel(y=slice(None, None, stride), x=slice(None, None, stride))
    record = run_record(run)
    with matplotlib.rc_context({"font.size": 13, "font.family": "DejaVu Sans", "hatch.linewidth": 0.6, "hatch.color": "#333333"}):
        figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
        title = shorten(str(record.get("title") or run.name), 70, placeholder=" ...")
        figure.text(0.035, 0.93, title, fontsize=22, fontweight="bold", va="center")
        figure.text(0.035, 0.872, f"{NAMES.get(variable, variable)}, {label}", fontsize=16, color="#444444", va="center")
        axes = figure.add_axes((0.035, 0.14, 0.60, 0.69))
        _map(figure, axes, shown, variable, unit)
        _scale_bar(axes, shown)
        _north_arrow(axes, shown)
        _words(figure, run, record, variable, int(frame["time"].dt.year))
        with whole(out) as partial:
            figure.savefig(partial, dpi=DPI, format="png", metadata={"Software": MAKER})
    return out


def _frame(run: Path, variable: str, year: int | None):
    """The annual map of a year with its sd, its label and its units."""
    data = open_group(run, "annual")
    if data is None or not data.sizes.get("time"):
        raise ValueError(f"{run} has no annual maps; is the run complete?")
    there = [name for name in data.data_vars if f"{name}_sd" in data]
    if variable not in there:
        raise ValueError(f"{run} has no annual map of `{variable}`; it has {', '.join(there)}")
    years = [int(one) for one in data["time"].dt.year.values]
    if year is not None and year not in years:
        raise ValueError(f"{run} has no map of {year}; it has {', '.join(map(str, years))}")
    at = years.index(year) if year is not None else len(years) - 1
    frame = data[[variable, f"{variable}_sd", "spatial_ref"]].isel(time=at).load()
    unit = unit_of(data.isel(time=[at]), "annual") if variable in FLUXES else str(data[variable].attrs.get("units", ""))
    return frame, dates(data, "annual")[at], unit


def _map(figure, axes, shown, variable: str, unit: str) -> None:
    """The map, hatched where the sign of NEE is uncertain, with its colour bar."""
    values, sd = shown[variable].values, shown[f"{variable}_sd"].values
    known = np.abs(values[np.isfinite(values)])
    top = nice(float(np.quantile(known, RANGE))) if known.size else 1.0
    x, y = shown["x"].values, shown["y"].values
    step = abs(float(x[1] - x[0])) / 2 if len(x) > 1 else 5.0
    extent = (x.min() - step, x.max() + step, y.min() - step, y.max() + step)
    low = -top if variable == "NEE" else 0.0
    image = axes.imshow(values, cmap=COLOURS.get(variable, OTHER_COLOURS), vmin=low, vmax=top, extent=extent, interpolation="nearest")
    axes.set_facecolor("#eeeeee")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("W")
    if variable == "NEE" and min(values.shape) > 1 and (weak := np.abs(values) < WEAK * sd).any():
        to_edges = [np.concatenate([[one[0] - (one[1] - one[0]) / 2], one, [one[-1] + (one[1] - one[0]) / 2]]) for one in (x, y)]
        axes.contourf(*to_edges, np.pad(weak.astype(float), 1, mode="edge"), levels=[0.5, 1.5], colors="none", hatches=["////"])
    beside, beyond = figure.add_axes((0.67, 0.74, 0.29, 0.028)), "both" if low < 0 else "max"
    bar = figure.colorbar(image, cax=beside, orientation="horizontal", extend=beyond)
    bar.set_label(plain_units(unit), fontsize=12)
    for words, place, side in zip(ENDS.get(variable) or (), (0.67, 0.96), ("left", "right"), strict=False):
        figure.text(place, 0.79, words.replace(" to the atmosphere", ""), ha=side, fontsize=11)


def _scale_bar(axes, shown) -> None:
    """A bar of a round length below the map."""
    width = float(shown["x"].max() - shown["x"].min())
    power = 10.0 ** math.floor(math.log10(max(width / 4, 1.0)))
    metres = next(step * power for step in (5, 2, 1) if step * power <= max(width / 4, 1.0))
    begin, transform = axes.get_xlim()[0], axes.get_xaxis_transform()
    axes.plot([begin, begin + metres], [-0.035] * 2, color="black", linewidth=3, solid_capstyle="butt", transform=transform, clip_on=False)
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    axes.text(begin + metres, -0.035, f"  {text}", va="center", fontsize=12, transform=transform)


def north(shown) -> float:
    """Angle of true north at the middle of a map, degrees from its upper edge, clockwise: grids of a country do not point there."""
    x, y = (float(shown[name].values.mean()) for name in ("x", "y"))
    of_grid = Transformer.from_crs(shown["spatial_ref"].attrs["crs_wkt"], "EPSG:4326", always_xy=True)
    longitude, latitude = of_grid.transform(x, y)
    ahead = of_grid.transform(longitude, min(latitude + 0.01, 89.99), direction="INVERSE")
    return math.degrees(math.atan2(ahead[0] - x, ahead[1] - y))


def _north_arrow(axes, shown) -> None:
    """An arrow to true north below the right corner of the map."""
    axes.apply_aspect()
    box, angle = axes.get_window_extent(), math.radians(north(shown))
    tail = box.x1 - 30, box.y0 - 66
    tip = tail[0] + ARROW * math.sin(angle), tail[1] + ARROW * math.cos(angle)
    here = {"xycoords": "figure pixels", "textcoords": "figure pixels", "annotation_clip": False}
    axes.annotate("", xy=tip, xytext=tail, arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 2}, **here)
    axes.annotate("N", xy=tail, xytext=(tail[0] - 28, tail[1] + ARROW / 2), ha="center", va="center", fontweight="bold", **here)


def _words(figure, run: Path, record: dict, variable: str, year: int) -> None:
    """What stands beside the map and below it: the region's mean with its interval, what this holds, sign and credit."""
    lines = []
    if variable in FLUXES:
        totals = open_totals(run).with_structural_error()
        budget = budget_of(totals)
        whole_region = budget[(budget["zone"] == REGION) & (budget["land_cover"] == ALL) & (budget["variable"] == variable)]
        row = whole_region[(whole_region["quantity"] == "flux") & whole_region["period"].str.startswith(str(year))].iloc[0]
        lines = [f"{number(row['mean'])} {plain_units(row['units'])}", f"90 %: {interval(row['q05'], row['q95'])}",
                 f"whole region, {number(row['area_ha'])} ha, {row['period'].replace('..', ' to ')}"]  # fmt: skip
        figure.text(0.67, 0.60, lines[0], fontsize=26, fontweight="bold")
        figure.text(0.67, 0.55, lines[1], fontsize=16)
        figure.text(0.67, 0.52, lines[2], fontsize=12, color="#444444", va="top")
        holds = totals.spread.replace("+", " + ").replace("_", " ")
        words = fill(f"The interval holds: {holds}. {totals.draws} draws, summed one by one.", 48)
        figure.text(0.67, 0.475, words, fontsize=11, color="#444444", va="top")
    if variable == "NEE":
        words = f"Positive to the atmosphere: a sink is negative.\nHatched: |mean| below {WEAK:g} sd,\nthe sign is uncertain."
        figure.text(0.67, 0.34, words, fontsize=12, va="top")
    credit = "; ".join(record.get("attribution") or ()) or "credit of the data: not recorded in the region store"
    figure.text(0.035, 0.012, fill(f"Made with hybridflux. {credit}", 230), fontsize=7, color="#444444", va="bottom")  # whole, however long
