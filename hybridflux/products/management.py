"""Tables of the user about management: events with their dates, and yearly carbon that leaves or enters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import quoted, read_cells
from hybridflux.products.harvest import FRACTIONS
from hybridflux.products.inventory import CARRIED, question_units, read_pools
from hybridflux.products.totals import ALL, REGION

EVENTS = ("mowing", "harvest", "felling")
NEEDED = ("zone", "land_cover", "date", "event")
OPTIONAL = {name: name for name in ("share", "probability", "date_sd", "since", "crop")}
EXAMPLE = "north,GRA,2018-05-24,mowing"


@dataclass(frozen=True)
class Event:
    """A mowing, harvest or felling.

    Attributes:
        zone: name of the zone, or `region`.
        land_cover: plant type code, or `all`.
        date: expected day.
        event: one of `EVENTS`.
        share: share of the area of the zone and land cover.
        probability: that it took place.
        date_sd: standard deviation of the day [d].
        since: day from which the harvested plants have grown; None: the event before it that took place.
        crop: name in `FRACTIONS`; empty where it is not known.
    """

    zone: str
    land_cover: str
    date: pd.Timestamp
    event: str
    share: float = 1.0
    probability: float = 1.0
    date_sd: float = 0.0
    since: pd.Timestamp | None = None
    crop: str = ""

    @property
    def key(self) -> str:
        """What tells its random numbers from those of other events."""
        return f"{self.zone}/{self.land_cover}/{self.date:%Y-%m-%d}/{self.event}/{self.crop}"


@dataclass(frozen=True)
class Flow:
    """Carbon that leaves or enters a place, every year of some.

    Attributes:
        zone: name of the zone, or `region`.
        land_cover: plant type code, or `all`.
        pool: one of `inventory.CARRIED`.
        years: first and last year.
        value: gC m-2 yr-1.
        sd: its standard deviation, one error for all years of the row.
        campaign: that measured it; rows of a pool and campaign share a part of their error, as those of an inventory do.
        correlation: of the errors of any two rows of that campaign, 0 to 1.
    """

    zone: str
    land_cover: str
    pool: str
    years: tuple[int, int]
    value: float
    sd: float
    campaign: str = ""
    correlation: float = 0.0


def read_flows(path: str | Path) -> list[Flow]:
    """Yearly export, import, fire and leaching of a table `zone,land_cover,pool,start_year,end_year,value,sd`.

    Columns `units`, `campaign` and `correlation` are those of `inventory.read_inventory`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as `inventory.read_inventory`.
    """
    rows, declared = read_pools(path)
    chosen = rows[rows["pool"].isin(CARRIED)]
    if not declared:
        question_units(Path(path), chosen)
    return [
        Flow(row.zone, row.land_cover, row.pool, (row.start_year, row.end_year), row.value, row.sd, row.campaign, row.correlation)
        for row in chosen.itertuples()
    ]


def read_events(path: str | Path) -> list[Event]:
    """Events of a table with columns `zone,land_cover,date,event`, optionally `share,probability,date_sd,since,crop`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a column is missing, or values are not valid; the message names file, rows and cure.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; events are a table {','.join(NEEDED)}")
    cells = read_cells(path, NEEDED, OPTIONAL, f"{','.join(NEEDED)}, for instance {EXAMPLE}")
    text = cells.text
    faults: dict[int, str] = {}

    def refuse(wrong: pd.Series, column: str, reason: str) -> None:
        for row in wrong.index[wrong]:
            faults.setdefault(row, f"row {row}: {column} {quoted(text.at[row, column])} {reason}")

    table = pd.DataFrame({"zone": text["zone"].replace({"": REGION, ALL: REGION}), "event": text["event"].str.lower()})
    table["land_cover"] = text["land_cover"].str.upper().replace({"": ALL, ALL.upper(): ALL})
    refuse(~table["event"].isin(EVENTS), "event", f"is not one of {', '.join(EVENTS)}")
    for column in ("date", "since"):
        given = text[column] if column in cells else pd.Series("", text.index)
        table[column] = pd.to_datetime(given.where(given != ""), format="%Y-%m-%d", errors="coerce")
        refuse(table[column].isna() & ((given != "") | (column == "date")), column, "is not a date such as 2018-05-24")
    for column, least, most, usual in (("share", 0, 1, 1.0), ("probability", 0, 1, 1.0), ("date_sd", 0, 365, 0.0)):
        table[column] = usual
        if column in cells:
            values, wrong = cells.parsed(column)
            for row, fault in wrong.items():
                faults.setdefault(row, fault)
            table[column] = values.fillna(usual)
            refuse(~table[column].between(least, most), column, f"is not between {least} and {most}")
    table["crop"] = text["crop"].str.lower() if "crop" in cells else ""
    refuse(~table["crop"].isin(["", *FRACTIONS]), "crop", f"is not one of {', '.join(name for name in FRACTIONS if name.islower())}")
    if "since" in cells:
        refuse(table["since"] >= table["date"], "since", "is not before the date")
    cells.refuse(dict(sorted(faults.items())))
    records = table.sort_values("date", kind="stable").to_dict("records")
    return [Event(**row | {"since": None if pd.isna(row["since"]) else row["since"]}) for row in records]


def place_of(zone: str, land_cover: str, zones: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """Whether a cell lies in a place `[cell]`; `region` and `all` hold every one."""
    return ((zones == zone) | (zone == REGION)) & ((covers == land_cover) | (land_cover == ALL))
