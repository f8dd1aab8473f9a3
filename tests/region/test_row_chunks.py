"""Large tiles: chunks of some rows, written as soon as their last block is computed, so that a tile never holds all of its maps."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
import zarr

from hybridflux.model.learned import learned, with_learned
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.kernels import kernel_inputs
from hybridflux.region.map import map_region
from hybridflux.region.outputs import KEEP, DailyMaps, flux_store
from hybridflux.region.outputs.flux_store import write_tile
from hybridflux.region.store import checksums, layout
from hybridflux.region.store.checksums import check_maps
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

DAYS = 20
SETTINGS = dict(draws=3, period=Period("2018-06-01", f"2018-06-{DAYS}"), keep=(*KEEP, DailyMaps()))


@pytest.fixture
def four_rows(monkeypatch):
    """Chunks of daily maps of four rows of a tile of 20, slabs of one block; the rows that are written, and when."""
    monkeypatch.setattr(flux_store, "CHUNK_BYTES", 2 * DAYS * 4 * 20)
    monkeypatch.setattr(flux_store, "ROW_BYTES", 2 * DAYS * 4 * 20)
    monkeypatch.setattr(flux_store, "FEWEST_ROWS", 1)
    monkeypatch.setitem(kernel_inputs.SLABS, "cpu", (24 << 20, 1))
    monkeypatch.setattr(kernel_inputs, "_LATEST", {})
    seen, write = [], flux_store.TileWriter.write

    def spy(self, group, names, rows, values):
        seen.append((group, names, self.tile.id, rows.start, values.shape))
        write(self, group, names, rows, values)

    monkeypatch.setattr(flux_store.TileWriter, "write", spy)
    return seen


def test_rows_are_written_one_after_the_other_and_are_those_of_a_whole_tile(tmp_path, make_region, make_posterior, four_rows, monkeypatch):
    region = make_region(tmp_path / "region.zarr", tile=20).path  # tiles of 20 and of 4 rows
    map_region(make_posterior(), region, tmp_path / "rows", **SETTINGS)
    steps = [(row, shape) for group, names, tile, row, shape in four_rows if (group, names, tile) == ("daily", ("NEE",), "r000_c000")]
    assert steps == [(row, (DAYS, 80)) for row in range(0, 20, 4)]
    monkeypatch.setattr(flux_store, "CHUNK_BYTES", 1 << 25)  # the slabs stay: a slab of other size is another compiled program
    map_region(make_posterior(), region, tmp_path / "whole", **SETTINGS)
    rows, whole = (zarr.open_group(tmp_path / name / "fluxes.zarr", mode="r") for name in ("rows", "whole"))
    assert [one["daily/NEE"].chunks for one in (rows, whole)] == [(DAYS, 4, 20), (DAYS, 20, 20)]
    assert rows["monthly/NEE"].chunks == (1, 20, 20), "small arrays keep a tile in a chunk"
    for group in ("daily", "monthly", "annual"):
        for name, array in whole[group].arrays():
            np.testing.assert_array_equal(array[...], rows[group][name][...])
    for file in ("totals.nc", "series.nc"):
        with xr.open_dataset(tmp_path / "rows" / file) as one, xr.open_dataset(tmp_path / "whole" / file) as other:
            xr.testing.assert_equal(one, other)
    check_maps(tmp_path / "rows")


@pytest.mark.parametrize("one_period", [False, True], ids=["days differ", "all days the same"])
def test_chunks_are_byte_for_byte_those_of_zarr(tmp_path, one_period):
    """Tiles at the edge fill a part of a chunk, days fill two chunks, a tile without a value has none."""
    shape, random = (5, 30, 34), np.random.default_rng(0)
    values = np.broadcast_to(random.integers(-9, 9, shape[1:]), shape) if one_period else random.integers(-900, 900, shape)
    values = np.where(np.indices(shape)[1:].min(0) < 20, values, layout.NODATA).astype(np.int16)  # the fourth tile has no value
    for name in ("zarr", "ours"):
        array = zarr.create_array(tmp_path / name, shape=shape, dtype=np.int16, chunks=(3, 10, 20), compressors=layout.codecs(),
                                  fill_value=layout.NODATA)  # fmt: skip
    zarr.open_array(tmp_path / "zarr", mode="r+")[...] = values
    digests = {}
    for tile in Grid("EPSG:2154", 0.0, 0.0, 10.0, shape[1:], 20).tiles():
        part = values[:, tile.y, tile.x]
        part = np.broadcast_to(part[0], part.shape) if one_period else part
        digests |= write_tile(array, tmp_path / "ours", tile, part)
    files = {}
    for folder in (tmp_path / "zarr", tmp_path / "ours"):
        found = (file for file in folder.rglob("*") if file.is_file())
        files[folder.name] = {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
    assert files["zarr"] == files["ours"] and len(files["ours"]) == 1 + 2 * 5
    assert digests == {key: checksums.digest(tmp_path / "ours" / key) for key in digests} and [*digests.values()].count("") == 2


def test_the_sd_of_one_draw_is_zero_where_a_pixel_is_mapped(tmp_path, make_region, make_posterior):
    map_region(make_posterior(), make_region(tmp_path / "region.zarr").path, tmp_path / "run", **SETTINGS | {"draws": 1})
    maps = zarr.open_group(tmp_path / "run" / "fluxes.zarr", mode="r")
    for group in ("daily", "monthly", "annual"):
        for name in ("NEE", "GPP", "RECO"):
            mean, sd = (maps[f"{group}/{name}{ending}"][...] for ending in ("", "_sd"))
            np.testing.assert_array_equal(sd, np.where(mean == layout.NODATA, layout.NODATA, 0))
    assert 0 < (mean != layout.NODATA).mean() < 1, "some pixels are masked"


def test_of_a_tile_that_is_refused_late_no_row_stays(tmp_path, make_region, make_posterior, four_rows):
    rows, _ = np.indices((20, 20))
    codes = [PLANT_TYPES.index(code) for code in ("CRO", "ENF")]
    region = make_region(tmp_path / "region.zarr", size=(20, 20), tile=20, plant_type=np.where(rows < 14, *codes)).path
    posterior = make_posterior()
    leaves = learned(posterior.model)
    name = next(name for name, leaf in leaves.items() if "respiration_ref" in name and leaf.shape[-1] == len(PLANT_TYPES))
    values = leaves | {name: leaves[name].at[..., codes[1]].set(np.nan)}
    broken = dataclasses.replace(posterior, model=with_learned(posterior.model, values))
    with pytest.raises(ValueError, match="not all numbers"):
        map_region(broken, region, tmp_path / "run", **SETTINGS)
    assert {row for group, _, _, row, _ in four_rows if group == "daily"} == {0, 4, 8}, "rows above the second plant type were written"
    assert not [file for file in (tmp_path / "run" / "fluxes.zarr").glob("*/NEE*/c/**/*") if file.is_file()]
