"""Effect of a change of the drivers: numbers, months and maps."""

from __future__ import annotations

from functools import partial
from html import escape
from pathlib import Path

from hybridflux.products.scenario import Effect, effect_table
from hybridflux.products.totals import ALL, REGION
from hybridflux.region.drivers.driver_change import Change
from hybridflux.report.budget_tables import TONES, digits_of, heading_before, main_period, place_name, shown_places, tonnes, when
from hybridflux.report.fitted_maps import fitted
from hybridflux.report.map_viewer import GROUPS, SIDES, dates, grid_of, luts, panel, sample, unit_of
from hybridflux.report.markup import card, grid, interval_bar, legend, paragraph, table
from hybridflux.report.seasonal_fluxes import cycles, open_cover_fluxes
from hybridflux.report.style import interval, number, units
from hybridflux.vocabulary import VARIABLES

MOST = {"annual": 150_000, "monthly": 300_000}
"""Characters of the maps of a group of the difference on the page."""
CHANGE_COLOURS = {"NEE": "BrBG_r", "GPP": "BrBG"}
CHANGE_ENDS = {
    "NEE": ("more uptake (negative)", "carbon lost (positive)"),
    "GPP": ("less GPP (negative)", "more GPP (positive)"),
}


def describe(effect: Effect) -> str:
    """Changes in words: `precipitation × 0.6, air temperature + 2 °C`."""
    return ", ".join(_in_words(Change.parse(*text.split("=", 1))) for text in effect.changes)


def _in_words(change: Change) -> str:
    """A change in words, with the days on which it holds."""
    row = VARIABLES[change.name]
    driver, _, part = row.long_name.partition(":")[0].partition(", ")
    driver += f" ({part})" if part not in ("", "mean of the day") else ""
    years = " to ".join(dict.fromkeys(map(str, change.years))) if change.years else ""
    unit = "" if row.units == "1" else f" {row.units.replace('degC', '°C')}"
    said = {
        "climatology": f"at its climatology{years and f' of {years}'}", "typical": f"of typical days{years and f' of {years}'}",
        "*": f"× {change.value:.6g}", "=": f"held at {change.value:.6g}{unit}",
        "+": f"{'−' if change.value < 0 else '+'} {abs(change.value):.6g}{unit}",
    }[change.operation]  # fmt: skip
    first, last = change.first, change.last
    days = f"{first} to {last}" if first and last else f"from {first}" if first else f"until {last}" if last else ""
    return f"{driver} {said}{days and f' ({days})'}"


def effect_card(effect: Effect | None) -> str | None:
    """Headline of a scenario."""
    if effect is None:
        return None
    rows = _rows(effect)
    row = rows[(rows["variable"] == "NEE") & (rows["zone"] == REGION) & (rows["land_cover"] == ALL)].iloc[0]
    gpp = rows[(rows["variable"] == "GPP") & (rows["zone"] == REGION) & (rows["land_cover"] == ALL)].iloc[0]
    more = f"90 %: {interval(row['q05'], row['q95'])}; GPP {number(gpp['percent'], 1)} %<br>{escape(describe(effect))}"
    sign = "+" if row["mean"] > 0 else ""
    return card(f"Scenario, change of NEE, {when(row['period'])}", sign + number(row["mean"]), units(row["units"]), more, "--reco")


def effect_section(effect: Effect, folder: str | Path) -> tuple[str, dict | None]:
    """The section and the data of its map viewer."""
    folder = Path(folder)
    viewer = effect_viewer(folder)
    rows = _rows(effect)
    whole = rows[(rows["variable"] == "NEE") & (rows["zone"] == REGION) & (rows["land_cover"] == ALL)].iloc[0]
    gain = ""
    if whole["sd"] > 0:
        gain = f": two independent runs would have given an sd {number(whole['sd_unpaired'] / whole['sd'], 1)} times as large"
    note = (
        f"The same region and days, run with and without the change on the same draws ({effect.control.draws}). "
        f"Effects are changed minus control, draw by draw, so errors that both runs share cancel{gain}. "
        f"Positive NEE = carbon lost to the atmosphere. Spread <code>{effect.control.spread}</code>. {effect.leaves}"
    )
    parts = [paragraph(note, "note")]
    if viewer:
        parts.append('<div data-source="map-effect"></div>')
    entries = [("change of GPP", "--gpp", ""), ("of RECO", "--reco", ""), ("of NEE, positive = lost", "--nee", "")]
    entries.append(("90 % of draws", "--muted", "band"))
    period = when(main_period(_as_flux(rows)))
    parts += [f"<h3>Change by zone and land cover, {period}</h3>", _effect_table(rows), "<h3>Change over time</h3>", legend(*entries)]
    parts.append(grid(cycles(open_cover_fluxes(folder / "changed").minus(open_cover_fluxes(folder / "control")))))
    return "\n".join(parts), viewer


def effect_viewer(folder: Path) -> dict | None:
    """Maps of the difference for the viewer, NEE and GPP side by side."""
    import xarray as xr

    there = [name for name in MOST if (folder / "effect.zarr" / name).is_dir()]
    opened = {name: xr.open_zarr(folder / "effect.zarr", group=name, consolidated=False) for name in there}
    groups = [fitted(partial(_group, data, name), MOST[name]) for name, data in opened.items()]
    return {"groups": groups, "first": groups[0]["id"], "frame": 0, "luts": luts(CHANGE_COLOURS.values())} if groups else None


def _group(data, name: str, room: int) -> dict:
    """One group of frames of the difference."""
    shown = sample(data.sizes["time"], data.sizes["y"], data.sizes["x"], SIDES[name], 3, room)
    data = data.isel(time=shown.frames, y=slice(None, None, shown.stride), x=slice(None, None, shown.stride))
    unit = units(unit_of(data, name))
    layers = [{"name": "change", "sd": False, "panels": [_change_panel(data, flux, unit) for flux in ("NEE", "GPP")]}]
    return {"id": name, "label": GROUPS[name], "units": unit, "frames": dates(data, name), "layers": layers, **grid_of(data)}


def _change_panel(data, flux: str, unit: str) -> dict:
    values = data[f"{flux}_change"].values
    return panel(values, f"change of {flux}", f"Change of {flux} [{unit}]", CHANGE_COLOURS[flux], centred=True, ends=CHANGE_ENDS[flux])


def _rows(effect: Effect):
    """Rows of the main period."""
    rows = effect_table(effect)
    return rows[rows["period"] == main_period(_as_flux(rows))]


def _as_flux(rows):
    return rows.assign(quantity="flux")


def _effect_table(rows) -> str:
    """Effects on NEE and GPP of the region, its land covers and its zones."""
    places = shown_places(rows)
    nee = places[places["variable"] == "NEE"]
    ends = nee[["mean", "q05", "q95"]]
    scale = min(0.0, ends.min().min()), max(0.0, ends.max().max())
    unit = units(nee["units"].iloc[0])
    divisor, kilo = tonnes(nee["total_tCO2"])
    digits = digits_of(nee["total_tCO2"].abs().max() / divisor)
    of_total = units(kilo + nee["total_units"].iloc[0])
    head = ["Place", f"NEE, {unit}", "90 % interval", "", f"NEE, {of_total}", "GPP, %", "90 % interval", "RECO, %"]
    lines = []
    for _, row in nee.iterrows():
        lines += heading_before(row, nee)
        here = places[(places["zone"] == row["zone"]) & (places["land_cover"] == row["land_cover"])].set_index("variable")
        gpp = interval(here.loc["GPP", "percent_q05"], here.loc["GPP", "percent_q95"], 1)
        share = [number(here.loc["GPP", "percent"], 1), gpp, number(here.loc["RECO", "percent"], 1)]
        bar = interval_bar(row["q05"], row["mean"], row["q95"], scale, TONES["NEE"])
        total = number(row["total_tCO2"] / divisor, digits)
        lines.append([place_name(row), number(row["mean"], 1), interval(row["q05"], row["q95"], 1), bar, total, *share])
    return table(head, lines, whole=1)
