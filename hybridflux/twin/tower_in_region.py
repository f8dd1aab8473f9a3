"""One more tower: on a pixel of the region of a written world, with the truth of that pixel, in the layout of a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.spreadsheet import write_csv
from hybridflux.files import read_json
from hybridflux.region.drivers.open import open_region
from hybridflux.twin.tower_records import seen_from_space, whole_half_hours, write_fluxes
from hybridflux.twin.true_model import Places, true_fluxes
from hybridflux.twin.world import YEAR, World, WorldBuilder
from hybridflux.vocabulary import UNVEGETATED


def add_tower(world: World, towers: Path, row: int, column: int, years: tuple[int, int], rng: np.random.Generator) -> str:
    """Let a tower measure a pixel, and add it to a folder of towers.

    Args:
        world: as `make_world` wrote it; whole years.
        towers: folder of other towers, such as a copy of the world's own; the new one is added to it.
        row: of the pixel, from the north.
        column: of the pixel, from the west.
        years: first and last year of the record, both within the days of the world.
        rng: of the errors of its instruments, its gaps, and the noise of what the satellite sees.

    Returns:
        Its site_id.

    Raises:
        ValueError: the pixel has no vegetation, or the world has no such years.
    """
    grid = open_region(world.region).grid
    first = int(str(world.start)[:4])
    builder = WorldBuilder(world.folder, grid.shape[0], 365, YEAR - first + 1, read_json(world.parameters, "true parameters")["seed"], ())
    known = builder.nature()
    parcel, cell = known.land.parcel[row, column], known.cell[row, column]
    code = str(known.land.cover[parcel])
    year = builder.days.astype("datetime64[Y]").astype(int) + 1970
    if not np.isfinite(known.fapar[:, row, column]).all() or code in UNVEGETATED:
        raise ValueError(f"the pixel in row {row} and column {column} is {code}, without vegetation; a tower needs some")
    if not year[0] <= years[0] <= years[1] <= year[-1]:
        raise ValueError(f"the world has the years {year[0]} to {year[-1]}, not {years[0]} to {years[1]}")
    drivers = whole_half_hours({name: values[:, [cell]] for name, values in known.weather.items()})
    drivers |= {"fapar": known.fapar[:, row, [column]], "soil_capacity": known.land.soil_capacity[row, [column]]}
    here = {name: value[[parcel]] if np.ndim(value) else value for name, value in known.places.parameters.items()}
    fluxes = true_fluxes(Places(known.places.plant_type[[parcel]], here).model(), drivers)
    seen = (year >= years[0]) & (year <= years[1])
    longitude, latitude = grid.lonlat(float(grid.x[column]), float(grid.y[row]))
    others = pd.read_csv(towers / "sites.csv")
    name = f"XX-N{len(others) + 1:02d}"  # three letters or digits, as readers of file names want
    site = {
        "site_id": name, "name": f"Twin {code} in the region", "lat": round(float(latitude), 6), "lon": round(float(longitude), 6),
        "elev": 120.0, "igbp": code, "utc_offset": 1, "soil_capacity": float(drivers["soil_capacity"][0]),
        "network": "synthetic", "license": "CC0-1.0",
    }  # fmt: skip
    write_csv(pd.concat([others, pd.DataFrame([site])]), towers / "sites.csv")
    days, of_years = builder.days[seen], {key: np.asarray(values)[seen, 0] for key, values in drivers.items() if np.ndim(values) == 2}
    write_fluxes(towers, name, days, of_years, {key: np.asarray(values)[seen, 0] for key, values in fluxes.items()}, rng)
    write_csv(seen_from_space(name, days, of_years, rng), towers / "satellite" / f"{name.lower()}_fapar.csv.gz")
    return name
