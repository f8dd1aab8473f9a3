"""A small set of places with two years of smooth weather."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def drivers():
    """Drivers `[730, 3]` of an evergreen forest, a deciduous forest and a field."""
    rng = np.random.default_rng(3)
    season = np.sin(2 * np.pi * (np.arange(730) - 105) / 365)[:, None] + 0.1 * rng.normal(size=(730, 3))
    series = {
        "tair": 10 + 9 * season,
        "tmin": 5 + 9 * season,
        "tair_night": 7 + 9 * season,
        "par": np.clip(6 + 4 * season, 0.3, None),
        "vpd": np.clip(5 + 4 * season + rng.normal(size=season.shape), 0.1, None),
        "rain": rng.exponential(1.5, season.shape),
        "fapar": np.clip(0.5 + 0.3 * season, 0, 1),
        "day_fraction": 0.5 + 0.15 * season,
        "tair_30d": 10 + 8 * season,
        "swc": np.clip(0.2 + 0.05 * rng.normal(size=season.shape), 0.05, 0.4),
    }
    places = {"plant_type": np.array([0, 3, 11], np.int32), "soil_capacity": np.array([100, 150, 200], np.float32)}
    return {name: values.astype(np.float32) for name, values in series.items()} | places | {"site": np.arange(3, dtype=np.int32)}
