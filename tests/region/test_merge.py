"""Totals of tiles put together by groups of cells: against a sum in memory, for any group and any order, and in bounded memory."""

import tracemalloc

import numpy as np
import pytest

from hybridflux.region.outputs.merge_totals import Block, Merged, TileTotals

SHAPE = (3, 2, 5)  # months, fluxes, draws
NAME = "totals"  # of the output


def some_tiles(folder, tiles=7, zones=40, shape=SHAPE, seed=0):
    """Files of tiles whose zones overlap; one tile is empty."""
    random = np.random.default_rng(seed)
    paths = []
    for tile in range(tiles):
        totals = TileTotals(of_cells={NAME: {}})
        for zone in () if tile == 3 else random.choice(zones, zones // 3, replace=False).tolist():
            for kind in (1, 4):
                totals.area[zone, kind] = float(random.uniform(50, 150))
                totals.of_cells[NAME][zone, kind] = random.normal(size=shape) * 10.0 ** random.integers(-3, 6)
        block = Block(1 + tile % 2, np.zeros(0, int), np.zeros(0), 100.0)
        totals.add_to_plant_type("series", random.normal(size=(4, 2, shape[2])).astype(np.float32), block)
        paths.append(folder / f"r000_c{tile:03d}.npz")
        totals.save(paths[-1])
    return paths


def in_memory(paths):
    """What all tiles hold, cell by cell in dictionaries."""
    area, carbon, series = {}, {}, {}
    for path in sorted(paths):
        with np.load(path) as file:
            cells = np.load(path.with_suffix(f".{NAME}.npy"))
            for zone, kind, size, values in zip(file["zone"], file["plant_type"], file["area"], cells, strict=True):
                at = int(zone), int(kind)
                area[at], carbon[at] = area.get(at, 0.0) + float(size), carbon.get(at, 0.0) + values
            for kind, values in zip(file["plant_type_series"].tolist(), file["series_series"], strict=True):
                series[kind] = series.get(kind, 0.0) + values
    return area, carbon, series


@pytest.mark.parametrize("most", [1, 5000, 1 << 30])
def test_equals_the_sum_in_memory_to_the_last_bit_for_any_group_and_any_order(tmp_path, most):
    paths = some_tiles(tmp_path)
    area, carbon, series = in_memory(paths)
    for order in (paths, paths[::-1], paths[3:] + paths[:3]):
        merged = Merged.of(order)
        cells = list(zip(merged.zone.tolist(), merged.plant_type.tolist(), strict=True))
        assert cells == sorted(area) and merged.area.tolist() == [area[cell] for cell in cells]
        groups = list(merged.groups(NAME, SHAPE, most))
        assert [number for where, _ in groups for number in range(where.start, where.stop)] == list(range(len(cells)))
        np.testing.assert_array_equal(np.concatenate([found for _, found in groups]), [carbon[cell] for cell in cells])
        assert list(merged.of_plant_types["series"]) == sorted(series)
        for kind, values in series.items():
            np.testing.assert_array_equal(merged.of_plant_types["series"][kind], values)


def test_nothing_mapped_gives_no_cells(tmp_path):
    TileTotals().save(tmp_path / "r000_c000.npz")
    merged = Merged.of([tmp_path / "r000_c000.npz"])
    assert len(merged.area) == 0 and list(merged.groups(NAME, SHAPE)) == [] and merged.of_plant_types == {}


@pytest.mark.parametrize(
    ("suffix", "where"), [("npz", "middle"), ("npz", "end"), ("npz", "all"), ("totals.npy", "end"), ("totals.npy", "all")]
)
def test_a_damaged_file_is_named_with_its_cure(tmp_path, suffix, where):
    """A bit that changed in a `.npy` is found by its checksum, before anything is merged (`test_checksums.py`)."""
    tile = some_tiles(tmp_path)[0]
    path = tile.with_suffix(f".{suffix}")
    raw = bytearray(path.read_bytes())
    if where == "middle":
        raw[len(raw) // 2] ^= 1
    path.write_bytes(raw if where == "middle" else raw[:-100])
    if where == "all":
        path.unlink()
    said = rf"r000_c000\.{suffix}, are lost or damaged .*r000_c000.json and go on with `hybridflux map --run "
    with pytest.raises(ValueError, match=said):
        list(Merged.of([tile]).groups(NAME, SHAPE))


def test_a_group_is_all_that_is_in_memory(tmp_path):
    shape = (12, 2, 50)
    paths = some_tiles(tmp_path, tiles=30, zones=300, shape=shape)
    size, most = sum(path.stat().st_size for path in tmp_path.iterdir()), 1 << 20
    tracemalloc.start()
    merged = Merged.of(paths)
    for _, carbon in merged.groups(NAME, shape, most):
        assert carbon.nbytes <= most
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 8 and peak < 6 * most


BLOCK = (12, 8, 256)


@pytest.mark.parametrize("zones", [1, 120])
def test_blocks_are_summed_in_float64_whatever_their_order(zones):
    random = np.random.default_rng(1)
    gpp, reco = random.random((2, *BLOCK), np.float32)
    zone, area = random.integers(0, zones, BLOCK[-1]), random.uniform(99, 101, BLOCK[-1])
    area[7:40] = 0.0
    whole, split = TileTotals(), TileTotals()
    for totals, parts in ((whole, [slice(None)]), (split, [slice(100, None), slice(0, 100)])):
        for part in parts:
            block = Block(2, zone[part], area[part], 100.0)
            totals.add_area(block)
            totals.add_to_cells(NAME, [gpp[..., part], reco[..., part]], block)
    assert set(whole.area) == {(one, 2) for one in zone[area > 0].tolist()} == set(split.area)
    for (one, kind), carbon in whole.of_cells[NAME].items():
        expected = np.stack([(flux[..., zone == one].astype(float) * area[zone == one]).sum(-1) for flux in (gpp, reco)], 1)
        np.testing.assert_allclose(carbon, expected, rtol=1e-13)
        np.testing.assert_allclose(split.of_cells[NAME][one, kind], expected, rtol=1e-13)
        assert whole.area[one, kind] == pytest.approx(area[zone == one].sum(), rel=1e-13)
