"""Irrigation that is known: water of the user's parcels, added to the rain of their pixels in a copy of a region store.

Rain is stored by weather cell. Pixels of one cell that receive the same irrigation get a weather cell of their own: a copy of it with the
water added to its rain, so that runs, scenarios and ledgers take it as they take rain. It reaches leaves and soil as that of a sprinkler
does. Where a usual year is made by a factor of rain, the factor multiplies this water too. The copy keeps the water of each new cell and
its standard deviation in a year, by which runs draw it (`region.draws.irrigation_error`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from hybridflux.data.delimited import quoted, read_cells
from hybridflux.files import whole
from hybridflux.provenance import provenance
from hybridflux.region.draws.irrigation_error import CELL, ERROR, PARCEL, WATER
from hybridflux.region.drivers.open import UNVEGETATED_CODES, Region, open_region
from hybridflux.region.store import layout
from hybridflux.region.store.checksums import record_all, seal
from hybridflux.region.store.chunks import UNIFORM, only_value, uniform_tiles
from hybridflux.vocabulary import PLANT_TYPES

NEEDED, OPTIONAL = ("zone", "start", "mm"), {name: name for name in ("end", "sd", "land_cover")}
EXAMPLE = "parcel 12,2018-06-01,2018-08-31,180,30 (a season) or parcel 12,2018-07-04,,30,5 (a day)"
ALL = "all"
MOST = 150.0  # mm on a day, beyond which an amount is taken for a mistake


@dataclass(frozen=True)
class Irrigation:
    """Water of a zone.

    Attributes:
        zone: name of the zone, or `all`.
        land_cover: plant type code, or `all`.
        start: first day.
        end: last day; the water comes evenly over all days.
        mm: of all these days together.
        sd: standard deviation of that.
    """

    zone: str
    land_cover: str
    start: np.datetime64
    end: np.datetime64
    mm: float
    sd: float


def read_irrigation(path: str | Path) -> list[Irrigation]:
    """Rows of a table `zone,start,mm`, optionally `end,sd,land_cover`: a turn of irrigation on one day, or a sum over days.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a column is missing, or values are not valid; names file, rows and cure.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; irrigation is a table {','.join((*NEEDED, *OPTIONAL))}")
    cells = read_cells(path, NEEDED, OPTIONAL, f"{','.join(NEEDED)}, for instance zone,start,end,mm,sd: {EXAMPLE}")
    text, faults = cells.text, {}
    table = pd.DataFrame({"zone": text["zone"].replace({"": ALL, "region": ALL})})
    table["land_cover"] = text["land_cover"].str.upper().replace({"": ALL, ALL.upper(): ALL}) if "land_cover" in cells else ALL

    def refuse(wrong: pd.Series, column: str, reason: str) -> None:
        for row in wrong.index[wrong]:
            faults.setdefault(row, f"row {row}: {column} {quoted(text.at[row, column])} {reason}")

    for column in ("start", "end"):
        given = text[column] if column in cells else pd.Series("", text.index)
        table[column] = pd.to_datetime(given.where(given != ""), format="%Y-%m-%d", errors="coerce")
        refuse(table[column].isna() & ((given != "") | (column == "start")), column, "is not a date such as 2018-06-24")
    table["end"] = table["end"].fillna(table["start"])
    for column in ("mm", "sd"):
        table[column] = 0.0
        if column in cells:
            values, wrong = cells.parsed(column)
            for row, fault in wrong.items():
                faults.setdefault(row, fault)
            table[column] = values.fillna(0.0)
            refuse(table[column] < 0, column, "is below 0")
    refuse(table["end"] < table["start"], "start", "is after the end")
    days = (table["end"] - table["start"]).dt.days + 1
    refuse(table["mm"] > MOST * days, "mm", f"is more than {MOST:g} mm a day; is it in another unit?")
    refuse(~table["land_cover"].isin([ALL, *PLANT_TYPES]), "land_cover", "is no plant type")
    cells.refuse(dict(sorted(faults.items())))
    to_day = lambda stamp: np.datetime64(stamp, "D")  # noqa: E731
    return [
        Irrigation(row.zone, row.land_cover, to_day(row.start), to_day(row.end), float(row.mm), float(row.sd)) for row in table.itertuples()
    ]


def irrigate(region: str | Path, water: str | Path, out: str | Path, *, shift: float = 0.0) -> dict:
    """Write a copy of a region whose irrigated pixels have that water in their rain.

    Args:
        region: store.
        water: table of `read_irrigation`.
        out: store to write.
        shift: standard deviations by which all amounts are moved, in one direction: two copies say what an error of all amounts at once is
            worth, and have no other. Without it runs draw the amount of each parcel and year.

    Returns:
        The record `irrigation` of the copy: table, rows, and area, water [mm] and its sd of each zone and land cover.

    Raises:
        FileExistsError: `out` is there.
        ValueError: a zone that the region does not have, days outside it, no pixel is irrigated, or the region is irrigated already.
    """
    out, opened, rows = Path(out), open_region(region), read_irrigation(water)
    if out.exists():
        raise FileExistsError(f"{out} is there already; remove it or take another name")
    if WATER in opened.names:
        raise ValueError(f"{region} is irrigated already; put all rows into one table, and start from the region without irrigation")
    known = set(opened.zone_names.values()) | {ALL}
    unknown = sorted({row.zone for row in rows} - known)
    if unknown:
        raise ValueError(f"{water} has the zones {', '.join(unknown)[:200]}, and {region} has {', '.join(sorted(known))[:400]}")
    outside = [row for row in rows if row.start < opened.days[0] or row.end > opened.days[-1]]
    if outside:
        raise ValueError(f"{water} has water on {outside[0].start}, and {region} holds {opened.days[0]} to {opened.days[-1]}")
    amounts = np.array([max(row.mm + shift * row.sd, 0.0) for row in rows])
    daily = np.array([amount * _share(row, opened.days) for amount, row in zip(amounts, rows, strict=True)])
    source, mine, cells, irrigated = _cells(opened, rows, daily)
    added = [daily[list(one)].sum(0) for one in mine]
    if not irrigated:
        raise ValueError(f"{water}: no pixel of {region} lies in its zones and land covers")
    record = {"table": Path(water).name, "shift_sd": shift, "rows": [_row(row) for row in rows], "irrigated": irrigated}
    with whole(out) as partial:
        shutil.copytree(opened.path, partial, dirs_exist_ok=True)
        _rewrite(partial, opened, source, added, cells)
        relative = np.array([0.0 if shift or not row.mm else row.sd / row.mm for row in rows])
        _keep_error(partial, opened, mine, np.stack(added, axis=1), daily * relative[:, None])
        group = zarr.open_group(partial, mode="r+", use_consolidated=False)
        group.attrs[layout.IRRIGATION] = record
        credit = f"Irrigation of {len(irrigated)} zones and land covers as declared in {Path(water).name}"
        credit += ", its standard deviation in the draws." if relative.any() else ", taken as exact."
        group.attrs[layout.ATTRIBUTION] = [*opened.attribution, credit]
        group.attrs["irrigation_provenance"] = provenance({"region": str(region), "water": str(water), "shift": shift})
        seal(partial)
    return record


def _share(row: Irrigation, days: np.ndarray) -> np.ndarray:
    """Share of the water of a row that falls on each day `[time]`."""
    inside = (days >= row.start) & (days <= row.end)
    return inside / inside.sum()


def _row(row: Irrigation) -> dict:
    return {"zone": row.zone, "land_cover": row.land_cover, "start": str(row.start), "end": str(row.end), "mm": row.mm, "sd": row.sd}


def _keep_error(path: Path, region: Region, mine: list[tuple[int, ...]], water: np.ndarray, sd: np.ndarray) -> None:
    """Write the arrays of `irrigation_error`.

    Args:
        path: of the copy.
        region: that is copied.
        mine: rows of the table that each new cell has.
        water: of each new cell `[time, irrigated]`.
        sd: of the water of each row, of a day as its share of that of the row `[row, time]`.
    """
    year = region.days.astype("datetime64[Y]").astype(int)
    years = np.unique(year)
    total, of_row = (np.stack([values[year == one].sum(0) for one in years]) for values in (water, sd.T))
    squares = np.stack([(of_row[:, list(one)] ** 2).sum(1) for one in mine], axis=1)
    error = np.sqrt(squares) / np.where(total > 0, total, 1.0)
    parcels = {one: number for number, one in enumerate(sorted(set(mine)))}
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    first = region.group["tair"].shape[1]
    for name, values, dims in (
        (WATER, water.astype(np.float32), ("time", "irrigated")), (ERROR, error.astype(np.float32), ("year", "irrigated")),
        (CELL, first + np.arange(len(mine)), ("irrigated",)), (PARCEL, np.array([parcels[one] for one in mine]), ("irrigated",)),
    ):  # fmt: skip
        layout.put(group, name, values, dims, units={WATER: "mm d-1"}.get(name, "1"))
        record_all(path / name, group[name])


def _cells(
    region: Region, rows: list[Irrigation], daily: np.ndarray
) -> tuple[list[int], list[tuple[int, ...]], dict[str, np.ndarray], list]:
    """New cells: whose weather each has, and the rows of its water; the map `cell` of each tile; what each zone gets."""
    new: dict[tuple[tuple[int, ...], int], int] = {}
    first = region.group["tair"].shape[1]
    source, rows_of, maps, sizes = [], [], {}, {}
    for tile in region.tiles():
        cell, zone, kind = (region.map_of(name, tile).copy() for name in ("cell", "zone", "plant_type"))
        area = region.grid.area(tile).reshape(-1)
        for one, code in np.unique(np.stack([zone, kind]), axis=1).T.tolist():
            if code in (layout.OUTSIDE, *UNVEGETATED_CODES):
                continue
            name, cover = region.zone_names.get(one, ""), PLANT_TYPES[code]
            mine = tuple(n for n, row in enumerate(rows) if row.zone in (ALL, name) and row.land_cover in (ALL, cover))
            if mine:
                here = (zone == one) & (kind == code)
                sizes[name, cover] = sizes.get((name, cover), (0.0, mine))[0] + float(area[here].sum()), mine
                for old in np.unique(cell[here & (cell < first)]).tolist():
                    if (mine, old) not in new:
                        new[mine, old] = first + len(new)
                        source.append(old)
                        rows_of.append(mine)
                    cell[here & (cell == old)] = new[mine, old]
        maps[tile.id] = cell.reshape(tile.shape)
    irrigated = [
        {"zone": name, "land_cover": cover, "area_ha": area / 1e4, "mm": float(daily[list(mine)].sum()),
         "sd": float(np.sqrt(sum(rows[one].sd ** 2 for one in mine)))}
        for (name, cover), (area, mine) in sorted(sizes.items())
    ]  # fmt: skip
    return source, rows_of, maps, irrigated


def _rewrite(path: Path, region: Region, source: list[int], added: list[np.ndarray], maps: dict[str, np.ndarray]) -> None:
    """Put the new cells behind the others in every array by cell, the water into rain, and the map of cells in place."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for name in region.names:
        array = group[name]
        dims, attributes, fill, old = array.metadata.dimension_names, dict(array.attrs), array.fill_value, array
        if dims and "cell" in dims:
            values = old[...]
            more = np.take(values, source, axis=dims.index("cell"))
            if name == "rain":
                more = more + np.stack(added, axis=1).astype(values.dtype)
            del group[name]
            layout.put(group, name, np.concatenate([values, more], axis=dims.index("cell")), dims, fill=fill, **attributes)
            record_all(path / name, group[name])
    cell = group["cell"]
    for tile in region.tiles():
        cell[tile.y, tile.x] = maps[tile.id]
    cell.attrs[UNIFORM] = uniform_tiles(region.grid.tile, [only_value(maps[tile.id]) for tile in region.tiles()])
    record_all(path / "cell", cell)
