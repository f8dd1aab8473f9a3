"""Tiles are the values of the store, overviews are what they say they are, in bounded memory."""

import numpy as np
import pytest

from hybridflux.region.drivers.map_periods import MapPeriod
from hybridflux.region.outputs.cogs import write_cog
from hybridflux.region.store.layout import NODATA
from hybridflux.view.pyramid import SIDE, BlockMemory, MapSource, Pyramid
from hybridflux.view.run_maps import CACHE, RunMaps


def source_of(values, **more):
    return MapSource("map", values.shape, NODATA, lambda frames, y, x: values[frames, y, x], **more)


def whole_map(pyramid, frame, level):
    """A level put together from its tiles, and what is beyond the map."""
    rows, columns = (-(-size // (SIDE << level)) for size in pyramid.source.shape[1:])
    put = np.block([[pyramid.tile(frame, level, row, column) for column in range(columns)] for row in range(rows)])
    height, width = (-(-size // (1 << level)) for size in pyramid.source.shape[1:])
    beyond = put.copy()
    beyond[:height, :width] = NODATA
    return put[:height, :width], beyond


def mean_of_known(values):
    """The next level, by means of floating-point numbers."""
    height, width = values.shape
    padded = np.pad(np.where(values == NODATA, np.nan, values.astype(float)), ((0, height % 2), (0, width % 2)), constant_values=np.nan)
    parts = np.stack([padded[below::2, right::2] for below in (0, 1) for right in (0, 1)])
    known = np.isfinite(parts)
    mean = np.nan_to_num(parts).sum(0) / np.maximum(known.sum(0), 1)
    return np.where(known.any(0), np.rint(mean), NODATA)


def test_full_resolution_is_the_store(made_up):
    run = RunMaps.open(made_up.path, BlockMemory())
    for name, values in made_up.values.items():
        pyramid = run.pyramid(*name.split("/"))
        for frame in (0, len(values) - 1):
            put, beyond = whole_map(pyramid, frame, 0)
            np.testing.assert_array_equal(put, values[frame])
            assert (beyond == NODATA).all()


def test_overviews_are_means_of_what_is_known(made_up):
    run = RunMaps.open(made_up.path, BlockMemory())
    expected = made_up.values["monthly/NEE"][5]
    for level in range(1, run.levels):
        expected = mean_of_known(expected)
        np.testing.assert_array_equal(whole_map(run.pyramid("monthly", "NEE"), 5, level)[0], expected)
    assert expected.shape[0] <= SIDE


def test_overviews_of_a_standard_deviation_are_single_pixels(made_up):
    pyramid = RunMaps.open(made_up.path, BlockMemory()).pyramid("monthly", "NEE_sd")
    np.testing.assert_array_equal(whole_map(pyramid, 3, 1)[0], made_up.values["monthly/NEE_sd"][3, ::2, ::2])


def test_little_memory_gives_the_same():
    values = np.random.default_rng(1).integers(-99, 99, (3, 1500, 1100)).astype(np.int16)
    small, large = BlockMemory(most=4 * 3 * SIDE**2 * 2), BlockMemory()
    expected = Pyramid(source_of(values), large).tile(2, 3, 0, 0)
    np.testing.assert_array_equal(Pyramid(source_of(values), small).tile(2, 3, 0, 0), expected)
    assert 0 < small.bytes <= small.most < large.bytes


def test_overviews_are_kept_and_made_again_where_they_are_damaged(tmp_path):
    values = np.random.default_rng(1).integers(-99, 99, (1, 700, 300)).astype(np.int16)
    made = Pyramid(source_of(values), BlockMemory(), tmp_path).tile(0, 1, 0, 0)
    gone = MapSource("map", values.shape, NODATA, lambda *window: pytest.fail("read again"))
    np.testing.assert_array_equal(Pyramid(gone, BlockMemory(), tmp_path).tile(0, 1, 0, 0), made)
    file = next(tmp_path.rglob("*.blosc"))
    file.write_bytes(file.read_bytes()[:40])
    np.testing.assert_array_equal(Pyramid(source_of(values), BlockMemory(), tmp_path).tile(0, 1, 0, 0), made)


def test_maps_that_changed_get_new_overviews(own):
    run = RunMaps.open(own, BlockMemory())
    run.pyramid("monthly", "NEE").tile(0, 1, 0, 0)
    before = list((own / CACHE).iterdir())
    (own / "tiles" / "r001_c001.json").write_text("{}")
    again = RunMaps.open(own, BlockMemory())
    assert before == [run.cache] and again.cache != run.cache and not run.cache.exists()


def test_overviews_of_geotiffs_are_taken(own, made_up):
    run = RunMaps.open(own, BlockMemory())
    for year in (2021, 2022):
        one = MapPeriod(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year}-12-31"), np.datetime64(f"{year}", "Y"))
        flat = np.full((1, *run.grid.shape), year - 2000, np.float32)  # other values than the store has, so that one sees which were read
        blocks = [(slice(0, run.grid.shape[0]), slice(0, run.grid.shape[1]), flat)]
        write_cog(own / "cog" / f"NEE_annual_{year}.tif", run.grid, [one], {"units": "g m-2", "long_name": "NEE"}, blocks)
    pyramid = RunMaps.open(own, BlockMemory()).pyramid("annual", "NEE")
    assert (pyramid.tile(1, 1, 0, 0) == 2200).all()  # 22 in steps of 0.01
    np.testing.assert_array_equal(pyramid.tile(0, 0, 0, 0), made_up.values["annual/NEE"][0, :SIDE, :SIDE])
    (own / "cog" / "NEE_annual_2022.tif").unlink()
    expected = mean_of_known(made_up.values["annual/NEE"][1])[:SIDE, :SIDE]
    np.testing.assert_array_equal(RunMaps.open(own, BlockMemory()).pyramid("annual", "NEE").tile(1, 1, 0, 0), expected)


@pytest.mark.parametrize("place", [(0, 9, 0, 0), (99, 0, 0, 0), (0, 0, 3, 0), (0, 0, 0, 99), (-1, 0, 0, 0), (0, 0, -1, 0)])
def test_what_is_beyond_is_refused(made_up, place):
    with pytest.raises(IndexError, match="has no tile"):
        RunMaps.open(made_up.path, BlockMemory()).pyramid("monthly", "NEE").tile(*place)
