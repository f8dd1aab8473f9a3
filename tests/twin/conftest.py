import pytest

from hybridflux.twin.world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """A small world: 48 x 48 pixels, the drought year, six towers."""
    return make_world(tmp_path_factory.mktemp("world"), size=48, towers=6, seed=1)
