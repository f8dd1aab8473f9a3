import numpy as np
import pytest

from hybridflux.model.effect_correlation import ECOSYSTEM, LENGTH, EffectCorrelation
from hybridflux.region.draws import random_effects
from hybridflux.region.store.grid import Grid


def fields(x, y, *, draws, length=LENGTH, nugget=0.0, kind=0, seed=0, name="a", years=None):
    """Fields at points `[draw, year, point]`, as the kernel makes them."""
    wave = random_effects.waves(np.stack([x, y], 1), random_effects.frequencies(EffectCorrelation(length, nugget)))
    return random_effects.weights(seed, name, draws, years, nugget)[:, kind] @ wave.T


@pytest.mark.parametrize("nugget", [0.0, 0.6])
def test_unit_variance_everywhere(nugget):
    random = np.random.default_rng(0)
    x, y = random.uniform(6e5, 7e5, 200), random.uniform(6.8e6, 6.9e6, 200)
    z = fields(x, y, draws=4000, nugget=nugget)[:, 0]
    np.testing.assert_allclose(z.std(0), 1.0, atol=5 / np.sqrt(2 * 4000))
    np.testing.assert_allclose(z.mean(0), 0.0, atol=5 / np.sqrt(4000))


@pytest.mark.parametrize("length", [2_000.0, 10_000.0])
@pytest.mark.parametrize("direction", [0.0, 0.7, 2.1])
def test_correlation_falls_with_distance_as_stated(length, direction):
    distance = length * np.array([0.0, 0.1, 0.5, 1.0, 2.0, 4.0])
    x, y = 650_000 + distance * np.cos(direction), 6_850_000 + distance * np.sin(direction)
    z = fields(x, y, draws=6000, length=length)[:, 0]
    found = (z[:, :1] * z).mean(0)
    scaled = np.sqrt(3) * distance / length
    np.testing.assert_allclose(found, (1 + scaled) * np.exp(-scaled), atol=0.08)
    assert found[1] > 0.97 and found[3] == pytest.approx(0.483, abs=0.07)


def test_an_ecosystem_has_a_part_of_its_own():
    distance = np.array([0.0, 0.5, 1.0, 20.0]) * ECOSYSTEM
    z = fields(650_000 + distance, np.full(4, 6_850_000.0), draws=6000, length=40_000.0, nugget=0.6)[:, 0]
    shared, own = EffectCorrelation(40_000.0, 0.6).parts(distance)
    np.testing.assert_allclose((z[:, :1] * z).mean(0), shared + own, atol=0.08)
    assert shared[0] == pytest.approx(0.4) and own[-1] < 1e-10  # beyond some ecosystems only what neighbours share is left


def test_plant_types_years_names_and_seeds_are_independent():
    x, y, years = np.array([650_000.0]), np.array([6_850_000.0]), np.array([2017, 2018])
    base = fields(x, y, draws=3000, years=years)
    others = [
        base[:, 1],
        fields(x, y, draws=3000, kind=5)[:, 0],
        fields(x, y, draws=3000, name="b")[:, 0],
        fields(x, y, draws=3000, seed=1)[:, 0],
    ]
    for other in others:
        assert abs(np.corrcoef(base[:, 0, 0], other[:, 0])[0, 1]) < 0.08


def test_first_draws_and_years_are_the_same_in_any_run():
    np.testing.assert_array_equal(random_effects.weights(3, "a", 2), random_effects.weights(3, "a", 5)[:2])
    one, both = random_effects.weights(3, "a", 2, np.array([2018])), random_effects.weights(3, "a", 2, np.array([2017, 2018]))
    np.testing.assert_array_equal(one[:, :, 0], both[:, :, 1])


def test_phases_do_not_depend_on_the_tile():
    grid = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (300, 300))
    frequency = random_effects.frequencies(EffectCorrelation())[:, 0]
    np.testing.assert_array_equal(random_effects.phases(grid.x[100:200], frequency), random_effects.phases(grid.x, frequency)[100:200])
