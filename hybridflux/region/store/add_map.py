"""Maps of the user's own in a region that is there: covariates that a model reads beside those of the vocabulary."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import zarr

from hybridflux.data.land.warp import files_at, numbers
from hybridflux.region.store import layout
from hybridflux.region.store.check_region import grid_of
from hybridflux.region.store.checksums import record_all, seal
from hybridflux.region.store.chunks import UNIFORM, only_value, uniform_tiles
from hybridflux.vocabulary import PARAMETERS, VARIABLES


def add_map(region: str | Path, name: str, source: np.ndarray | str | Path, *, units: str = "1", overwrite: bool = False) -> None:
    """Add a covariate `[y, x]` to a region store, for instance canopy height.

    Pixels without a value are left out of maps of models that read it, and counted.

    Args:
        region: path of the store.
        name: of the covariate, as the column of sites.csv is called.
        source: values on the grid of the region `[y, x]`, NaN where unknown; or a raster file, or a folder of `*.tif`, that is brought to
            the grid: means where the raster is finer, bilinear where it is coarser.
        units: the same as those of the towers.
        overwrite: replace a map of that name.

    Raises:
        FileNotFoundError: no region, or no raster.
        ValueError: a name that the region keeps for itself or has already, another shape, or no value on the region.
    """
    path = Path(region)
    if not (path / "zarr.json").exists():
        raise FileNotFoundError(f"{path} is not a region store: it has no zarr.json")
    group = zarr.open_group(path, mode="r+")
    grid = grid_of(group)
    kept = {n for n, row in VARIABLES.items() if row.kind != "covariate"} | {"plant_type", "cell", "zone", "x", "y", "time", *PARAMETERS}
    if name in kept or not name.isidentifier():
        raise ValueError(f"`{name}` cannot be the name of a covariate; take letters, digits and underscores, and no name of the vocabulary")
    if name in group and not overwrite:
        raise ValueError(f"{path} has a map `{name}` already; take another name or `overwrite=True`")
    values = numbers(files_at(source, ("*.tif",)), grid.geobox) if isinstance(source, str | Path) else np.asarray(source, np.float32)
    if values.shape != grid.shape:
        raise ValueError(f"`{name}` has shape {values.shape}; [y, x] of {path} is {grid.shape}")
    if not np.isfinite(values).any():
        raise ValueError(f"`{name}` has no value on {path}; is the raster of another place?")
    array = group.create_array(
        name, shape=grid.shape, dtype=np.float32, chunks=(grid.tile, grid.tile), compressors=layout.codecs(), dimension_names=("y", "x"),
        fill_value=np.nan, attributes={"grid_mapping": "spatial_ref", "units": units, "long_name": name}, overwrite=overwrite,
    )  # fmt: skip
    array[...] = values
    corners = product(*(range(0, length, grid.tile) for length in grid.shape))
    tiles = (values[row : row + grid.tile, column : column + grid.tile] for row, column in corners)
    array.attrs[UNIFORM] = uniform_tiles(grid.tile, map(only_value, tiles))
    record_all(path / name, array)
    seal(path)
