"""A small world, mapped for real: towers, region, truth, inventory, run and scenario."""

from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

SIZE, DAYS, DRAWS = 20, 365, 8
CHANGE = {"rain": "*0.5", "tair": "+1"}


@dataclass(frozen=True)
class Mapped:
    """Where everything of the small world is."""

    posterior: object
    sequences: object
    run: Path
    scenario: Path
    inventory: Path
    truth: Path
    region: Path


def drawn_posterior(model, sequences, draws=DRAWS):
    """Draws around the prior median, without a fit."""
    from hybridflux.inference.batch import Indices
    from hybridflux.inference.posterior import Posterior
    from hybridflux.model.learned import learned, with_learned, with_places

    indices = Indices.of(sequences)
    model = with_places(model, {"site": len(indices.places), "site_year": len(indices.places) * len(indices.years)})
    leaves = learned(model)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    values = {name: 0.4 * jax.random.normal(key, (draws, *leaf.shape)) for (name, leaf), key in zip(leaves.items(), keys, strict=True)}
    return Posterior(with_learned(model, values), indices)


@pytest.fixture(scope="session")
def mapped(tmp_path_factory):
    """The small world."""
    from hybridflux.data.towers import open_towers
    from hybridflux.model import compositions
    from hybridflux.products.scenario import run_scenario
    from hybridflux.region.map import map_region
    from hybridflux.twin.world import make_world

    folder = tmp_path_factory.mktemp("world")
    world = make_world(folder, size=SIZE, days=DAYS, towers=3)
    model = compositions.get("static")
    sequences = open_towers(world.towers).sequences(model.needs_at_towers())
    posterior = drawn_posterior(model, sequences)
    map_region(posterior, world.region, folder / "run", draws=DRAWS)
    run_scenario(posterior, world.region, CHANGE, folder / "scenario", draws=DRAWS)
    return Mapped(posterior, sequences, folder / "run", folder / "scenario", world.inventory, world.truth, world.region)
