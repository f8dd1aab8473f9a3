"""Which sites and days are fitted and which are tested: by site, plant type, region, year and drought; never random days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hybridflux.data.delimited import read_cells
from hybridflux.data.site_table import EARTH_RADIUS, distance_km
from hybridflux.evaluate.extremes import Drought
from hybridflux.model.sequences import Sequences

Sites = tuple[str, ...]


def leave_site_out(
    sites: Sequence[str] | Sequences, folds: int | Mapping[str, int] | str | Path = 10, seed: int = 0
) -> Iterator[tuple[Sites, Sites]]:
    """Folds of whole sites.

    Args:
        sites: names, or sequences.
        folds: number of folds; or site -> fold; or a CSV file with columns `site_id` and `fold`, to use given folds.
        seed: seed of the shuffle, if the folds are made here.

    Yields:
        Sites to fit and sites to test.

    Raises:
        ValueError: fewer sites than folds, or a site without a fold.
    """
    names = _names(sites)
    if isinstance(folds, int):
        if not 2 <= folds <= len(names):
            raise ValueError(f"{folds} folds of {len(names)} sites; ask for 2 to {len(names)} folds")
        order = np.random.default_rng(seed).permutation(len(names))
        fold_of = {names[site]: rank % folds for rank, site in enumerate(order)}
    else:
        fold_of = folds if isinstance(folds, Mapping) else _folds_of(Path(folds))
    yield from _by_group(names, fold_of, "fold")


def _folds_of(file: Path) -> dict[str, str]:
    """Site -> fold of a table with columns `site_id` and `fold`."""
    table = read_cells(file, ("site_id", "fold"), example="site_id,fold")
    twice = table.text.loc[table.text["site_id"].duplicated(), "site_id"]
    if len(twice):
        raise ValueError(f"{file}, row {twice.index[0]}: the site {twice.iloc[0]} stands twice; keep one row a site")
    return dict(zip(table.text["site_id"], table.text["fold"], strict=True))


def leave_plant_type_out(plant_types: Mapping[str, str]) -> Iterator[tuple[Sites, Sites]]:
    """Each plant type once as the unseen one.

    Args:
        plant_types: site -> IGBP code.

    Yields:
        Sites to fit and sites to test.
    """
    yield from _by_group(tuple(plant_types), plant_types, "plant type")


def spatial_blocks(positions: Mapping[str, tuple[float, float]], size: float = 500.0, buffer: float = 0.0) -> Iterator[tuple[Sites, Sites]]:
    """Squares of an equal-area (sinusoidal) grid, each once as the unseen one.

    Args:
        positions: site -> (latitude, longitude) in degrees.
        size: side of a square, km.
        buffer: sites nearer than this to a tested one are neither fitted nor tested, km.

    Yields:
        Sites to fit and sites to test.
    """
    km = np.pi / 180.0 * EARTH_RADIUS
    block = {site: (lat * km // size, lon * np.cos(np.radians(lat)) * km // size) for site, (lat, lon) in positions.items()}
    for train, test in _by_group(tuple(positions), block, "block"):
        tested = np.array([positions[site] for site in test]).T
        yield tuple(site for site in train if distance_km(*positions[site], *tested).min() >= buffer), test


def leave_year_out(days: np.ndarray, block: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each calendar year, or block of years, once as the unseen one.

    Args:
        days: `datetime64[D]` `[time]`.
        block: consecutive years left out together.

    Yields:
        Days to fit and days to test, `[time]` of bool; use them with `only_days`.
    """
    year = days.astype("datetime64[Y]").astype(int)
    number = (year - year.min()) // block
    for held_out in np.unique(number):
        yield number != held_out, number == held_out


def leave_drought_out(sequences: Sequences, drought: Drought | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The summers of drought and the driest days of each place as the unseen ones.

    The days of a place do not depend on the other places. Score them with the step `drought`, on sequences that
    hold all targets.

    Args:
        sequences: all days, with the drivers `tair`, `par`, `rain`, `fapar` and the position of the places.
        drought: definition of drought; by default, in Europe, June to September of 2003, 2015 and 2018 to 2020, and everywhere the driest
            tenth of the measured days of the warm season of the place.

    Returns:
        Days to fit and days to test, `[time, place]` of bool; use them with `only_days`.

    Raises:
        ValueError: a driver or the position of the places is missing.
    """
    test = (drought or Drought()).days(sequences)
    return ~test, test


def only_days(sequences: Sequences, keep: np.ndarray) -> Sequences:
    """The same sequences with no targets outside the days to keep; drivers stay complete, because states need them.

    Args:
        sequences: all days.
        keep: `[time]` or `[time, place]` of bool.
    """
    wide = np.asarray(keep).reshape(len(sequences.days), -1)
    return replace(sequences, targets={name: np.where(wide, values, np.nan) for name, values in sequences.targets.items()})


def _names(sites: Sequence[str] | Sequences) -> Sites:
    return tuple(getattr(sites, "places", sites))


def _by_group(names: Sites, group_of: Mapping, word: str) -> Iterator[tuple[Sites, Sites]]:
    missing = [name for name in names if name not in group_of]
    if missing:
        raise ValueError(f"no {word} for {', '.join(missing)}; leave these sites out or give them one")
    groups = sorted({group_of[name] for name in names})
    if len(groups) < 2:
        raise ValueError(f"all {len(names)} sites are in one {word}; nothing would be left to fit")
    for group in groups:
        yield tuple(n for n in names if group_of[n] != group), tuple(n for n in names if group_of[n] == group)
