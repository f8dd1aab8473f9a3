"""Where one more tower would tell most of a region: the sd expected from the draws, against maps conditioned on a tower there."""

from dataclasses import replace

import numpy as np
import pytest

from hybridflux.inference.batch import Indices
from hybridflux.model.learned import learned, physics_effects, with_learned
from hybridflux.products.next_tower import COLUMNS, next_tower, reduction
from hybridflux.products.totals import open_totals
from hybridflux.region.draws.known_tower import KnownTower
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import ZoneTotals
from hybridflux.report.next_tower_figure import write_figure
from hybridflux.vocabulary import PLANT_TYPES

DRAWS = 128


def test_the_reduction_of_a_gaussian_is_that_of_its_formula():
    random = np.random.default_rng(0)
    truth = random.normal(size=(3, 20_000))
    region = 2.0 * truth[0] + truth[1]  # var 5; the tower sees the first part with an error of variance 0.25
    share, error = reduction(region, np.stack([truth[0], truth[2]]), 0.5)
    assert share == pytest.approx(1.0 - ((5.0 - 4.0 / 1.25) / 5.0) ** 0.5, abs=0.01) and error < 0.01
    chance = [reduction(*(lambda one: (one[0], one[1:]))(random.normal(size=(3, 32))), 0.1)[0] for _ in range(200)]
    assert np.mean(chance) < 0.025  # unadjusted it would be .033; half of them are cut off at zero


@pytest.mark.long
def test_a_tower_narrows_a_region_as_much_as_the_draws_expect(region_path, make_posterior, tmp_path):
    """At three candidates the region is mapped again with a tower there, whose effects are the same in all draws."""
    region, posterior = open_region(region_path), make_posterior(draws=DRAWS, size=0.02)
    settings = {"period": Period("2018-06-01", "2018-06-30"), "keep": (ZoneTotals(),)}
    drawn = Draws(DRAWS, effect_length=600.0, effect_nugget=0.2, towers=())
    map_region(posterior, region, tmp_path / "run", draws=drawn, **settings)
    table = next_tower(tmp_path / "run", candidates=40)
    assert tuple(table) == COLUMNS and len(table) == 40 and table["reduction"].is_monotonic_decreasing
    write_figure(table, tmp_path / "run", tmp_path / "next.png")
    assert (tmp_path / "next.png").stat().st_size > 10_000
    kinds = region.group["plant_type"][...]
    for row in table.iloc[[0, 15, 39]].itertuples():
        column, line = int((row.x - region.grid.west) / 10), int((region.grid.north - row.y) / 10)
        assert PLANT_TYPES[kinds[line, column]] == row.plant_type
        tables = {name: 0.0 * np.asarray(learned(posterior.model)[name]) + 0.3 for name in physics_effects(posterior.model)}
        known = replace(posterior, model=with_learned(posterior.model, tables), indices=Indices(posterior.places, (2017, 2018)))
        tower = KnownTower(posterior.places[0], row.latitude, row.longitude, row.plant_type)
        out = tmp_path / f"with{row.rank}"
        map_region(known, region, out, draws=replace(drawn, towers=(tower,)), **settings)
        totals = open_totals(out)
        nee = totals.sum("NEE", np.arange(len(totals.area)), np.arange(1)) / totals.area.sum()
        found = 1.0 - nee.std(ddof=1) / row.sd
        assert row.reduction == pytest.approx(found, abs=0.05), f"candidate {row.rank}"
    assert table["reduction"].iloc[0] > table["reduction"].iloc[-1] + 0.03


@pytest.mark.long
def test_few_draws_are_refused(region_path, make_posterior, tmp_path):
    settings = {"draws": Draws(6), "period": Period("2018-06-01", "2018-06-30"), "keep": (ZoneTotals(),)}
    map_region(make_posterior(), region_path, tmp_path / "run", **settings)
    with pytest.raises(ValueError, match="has 6 draws, and a covariance needs 16"):
        next_tower(tmp_path / "run")
