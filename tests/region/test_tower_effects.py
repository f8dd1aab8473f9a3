"""A region that knows its towers: fields that pass through effects of the fit, against the exact conditional of a Gaussian process."""

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

from hybridflux.cli.maps import _towers_of
from hybridflux.inference.batch import Indices
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.learned import learned, physics_effects
from hybridflux.region.draws import random_effects, tower_effects
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.kernels import contract
from hybridflux.region.kernels.kernel_inputs import prepare
from hybridflux.region.map import make_job, map_region, resume_run
from hybridflux.region.outputs import KEEP
from hybridflux.vocabulary import PLANT_TYPES

pytestmark = pytest.mark.long

SETTINGS = {"draws": Draws(6, effect_length=300.0, effect_nugget=0.3), "period": Period("2018-06-01", "2018-06-30"), "keep": KEEP}


def as_fitted(posterior, grid, where, kinds=("DBF", "CRO", "DBF"), years=()):
    """The posterior with its places at pixels of the grid, or metres outside it, of some plant types."""
    rows, names = {}, tuple("ABC"[: len(where)])
    for name, (x, y), kind in zip(names, where, kinds, strict=True):
        longitude, latitude = grid.lonlat(x, y)
        rows[name] = {"plant_type": kind, "latitude": float(latitude), "longitude": float(longitude), "years": list(years) or [2017, 2018]}
    return replace(posterior, indices=Indices(names, (2017, 2018)), info={**posterior.info, "places": rows})


def effects_of_pixels(job, kind):
    """Effects of all pixels as the kernels make them, taken for one plant type: table -> `[draw, year, row, column]`."""
    prepared, grid = prepare(job), job.region.grid
    found = {}
    for tile in grid.tiles():
        waves = prepared.waves(job, read_tile(job.region, tile, prepared.names, prepared.window))
        row, column = (part.ravel() for part in np.indices(tile.shape))
        model = contract.with_effects(prepared.model, prepared.shared, waves, PLANT_TYPES.index(kind), row, column)
        for name in physics_effects(model):
            table = np.asarray(learned(model)[name])
            found.setdefault(name, np.zeros((*table.shape[:2], *grid.shape)))[..., tile.y, tile.x] = table.reshape(
                *table.shape[:2], *tile.shape
            )
    return found


def test_conditioning_is_that_of_a_gaussian_process():
    correlation, draws = EffectCorrelation(20_000.0, 0.3), 6000
    towers, points = np.array([[0.0, 0.0], [15e3, 5e3]]), np.array([[0.0, 0.0], [100.0, 0.0], [8e3, 2e3], [30e3, 0.0], [3e5, 0.0]])
    known = np.array([2.0, -1.0])
    weights = random_effects.weights(0, "a", draws, nugget=correlation.nugget)
    parts = tower_effects.conditioned(weights, np.broadcast_to(known[:, None], (draws, 2, 1)), np.array([0, 0]), towers, correlation)
    between = lambda a, b: np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))  # noqa: E731
    waves = random_effects.waves(points, random_effects.frequencies(correlation))
    basis = [EffectCorrelation(20_000.0, nugget).parts(between(points, towers))[part] for part, nugget in ((0, 0.0), (1, 1.0))]
    found = parts[:, 0, 0] @ np.concatenate([waves, *basis], 1).T
    k = lambda a, b: sum(correlation.parts(between(a, b)))  # noqa: E731
    gain = k(points, towers) @ np.linalg.inv(k(towers, towers))
    mean, covariance = gain @ known, k(points, points) - gain @ k(towers, points)
    np.testing.assert_allclose(found.mean(0), mean, atol=5 / np.sqrt(draws))
    np.testing.assert_allclose(np.cov(found.T), covariance, atol=0.12)  # 128 waves meet the correlation to .08
    np.testing.assert_allclose(found[:, 0], 2.0, atol=1e-3)
    assert covariance[2, 2] < 0.8 and np.var(found[:, 4]) == pytest.approx(1.0, abs=0.08)
    np.testing.assert_array_equal(parts[:, 1, 0, -4:], 0.0)  # other plant types know nothing of these towers


def test_a_map_passes_through_its_towers_and_leaves_other_types_alone(region_path, make_posterior):
    region = open_region(region_path)
    grid, posterior = region.grid, make_posterior(years=True)
    at = [(grid.x[4], grid.y[20]), (grid.x[12], grid.y[7]), (grid.x[-1] + 5e6, grid.y[0])]
    known = as_fitted(posterior, grid, at, years=[2018, 2018])
    settings = SETTINGS | {"period": Period("2017-12-01", "2018-01-31")}
    job = make_job(known, region, **settings)
    assert [str(tower) for tower in job.spec.draws.towers] == ["A (DBF)", "B (CRO)"]
    blind = make_job(known, region, **settings | {"draws": replace(SETTINGS["draws"], towers=())})
    leaves = {name: np.asarray(leaf) for name, leaf in learned(job.posterior.model).items()}
    for kind, place, (row, column) in (("DBF", 0, (20, 4)), ("CRO", 1, (7, 12))):
        found, before = effects_of_pixels(job, kind), effects_of_pixels(blind, kind)
        for name, by in physics_effects(posterior.model).items():
            if by == "site":
                np.testing.assert_allclose(found[name][:, 0, row, column], leaves[name][:, place], atol=2e-3)
                assert np.abs(found[name] - before[name]).max() > 0.1
            else:  # the tower was measured in 2018 alone
                years = job.calendar.all_years.tolist()
                np.testing.assert_allclose(found[name][:, years.index(2018), row, column], leaves[name][:, 2 * place + 1], atol=2e-3)
                np.testing.assert_allclose(found[name][:, years.index(2017)], before[name][:, years.index(2017)], atol=1e-6)
    found, before = effects_of_pixels(job, "GRA"), effects_of_pixels(blind, "GRA")
    for name in found:
        np.testing.assert_array_equal(found[name], before[name])


def arrays_of(out):
    root = zarr.open_group(out / "fluxes.zarr", mode="r")
    return {f"{group}/{name}": array[...] for group, one in root.groups() for name, array in one.arrays()}


def test_towers_far_away_change_no_bit_and_near_ones_are_written_down(region_path, make_posterior, tmp_path):
    grid, posterior = open_region(region_path).grid, make_posterior()
    far = as_fitted(posterior, grid, [(grid.x[0] + away, grid.y[0]) for away in (2e6, 3e6, -2e6)])
    map_region(posterior, region_path, tmp_path / "plain", **SETTINGS)
    map_region(far, region_path, tmp_path / "far", **SETTINGS)
    known = as_fitted(posterior, grid, [(grid.x[4], grid.y[20]), (grid.x[12], grid.y[7]), (grid.x[0] - 400, grid.y[0])])
    report = map_region(known, region_path, tmp_path / "near", **SETTINGS)
    assert "informed by the towers A (DBF), B (CRO), C (DBF)" in str(report)
    record = json.loads((tmp_path / "near" / "run.json").read_text())["spec"]
    assert [tower["name"] for tower in record["towers"]] == ["A", "B", "C"] and record["effect_nugget"] == 0.3
    plain, away, near = (arrays_of(tmp_path / name) for name in ("plain", "far", "near"))
    assert all(np.array_equal(plain[name], away[name], equal_nan=True) for name in plain)
    assert not np.array_equal(plain["monthly/NEE"], near["monthly/NEE"])
    with pytest.raises(ValueError, match="towers that the effects of places pass through"):
        map_region(known, region_path, tmp_path / "near", resume=True, **SETTINGS | {"draws": replace(SETTINGS["draws"], towers=())})


def test_tiles_of_another_size_and_a_resumed_run_have_the_same_bits(make_region, make_posterior, tmp_path):
    paths = [make_region(tmp_path / f"tiles{tile}.zarr", tile=tile).path for tile in (10, 16)]
    grid = open_region(paths[0]).grid
    known = as_fitted(make_posterior(), grid, [(grid.x[4], grid.y[20]), (grid.x[12], grid.y[7]), (grid.x[0] - 400, grid.y[0])])
    for path in paths:
        map_region(known, path, tmp_path / path.stem, **SETTINGS)
    first, second = (arrays_of(tmp_path / path.stem) for path in paths)
    assert all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)
    for marker in sorted((tmp_path / "tiles10" / "tiles").glob("*.json"))[:2]:
        marker.unlink()
    resume_run(tmp_path / "tiles10")
    again = arrays_of(tmp_path / "tiles10")
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)


def test_a_run_takes_the_correlation_that_its_posterior_learned(region_path, make_posterior):
    grid = open_region(region_path).grid
    known = as_fitted(make_posterior(), grid, [(grid.x[4] + away, grid.y[20]) for away in (0.0, 1e5, 2e5)])
    known = replace(known, info={**known.info, "effect_correlation": {"length": 30_000.0, "nugget": 0.7}})
    found = tower_effects.settled(Draws(6), known, grid)
    assert (found.effect_length, found.effect_nugget, [tower.name for tower in found.towers]) == (30_000.0, 0.7, ["A", "B"])
    assert tower_effects.settled(found, known, grid) == found  # a run that goes on has it in its specification
    assert tower_effects.settled(Draws(6, "parameter"), known, grid).towers == ()
    given = tower_effects.settled(Draws(6, effect_length=5000.0), known, grid)
    assert (given.effect_length, given.effect_nugget, len(given.towers)) == (5000.0, 0.0, 1)


def test_a_table_of_sites_says_where_the_towers_of_a_posterior_stand(tmp_path):
    (tmp_path / "sites.csv").write_text("site_id,lat,lon,igbp\nFR-Gri,48.84,1.95,CRO\nFR-Pue,43.74,3.6,EBF\n")
    assert _towers_of(tmp_path, ("FR-Fon", "FR-Gri")) == (KnownTower("FR-Gri", 48.84, 1.95, "CRO"),)
    with pytest.raises(ValueError, match="has none of the towers of the posterior: FR-Fon"):
        _towers_of(tmp_path, ("FR-Fon",))


def test_a_tower_that_took_no_part_in_the_fit_is_refused(region_path, make_posterior):
    stranger = (KnownTower("X", 48.7, 2.1, "DBF"),)
    with pytest.raises(ValueError, match="X took no part in the fit"):
        make_job(make_posterior(), region_path, **SETTINGS | {"draws": Draws(6, towers=stranger)})
