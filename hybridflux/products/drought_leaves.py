"""Greenness in two at towers: what leaves lost because rain was missing, and the rest (harvest, late springs, legacies, other stress).

The ledger of a tower is made twice (`drought_towers`), of the leaves that were and of leaves that had not followed the water: NIRv and LSWI
moved back by the response to the rain deficit beyond the usual one. What greenness takes less of the second is the share of the water.
Leaves that were greener than usual although rain was missing lost by it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybridflux.data.gaps import trailing_mean
from hybridflux.model.leaf_response import FOLLOWED, LeafResponse
from hybridflux.model.sequences import Sequences
from hybridflux.process.leaves import WATER, rain_deficit
from hybridflux.products.drought_towers import usual_drivers
from hybridflux.region.drivers.usual_weather import Years
from hybridflux.vocabulary import PLANT_TYPES, split_history


def leaves_without_the_deficit(sequences: Sequences, years: Sequence[Years], response: LeafResponse) -> Sequences:
    """The same towers whose NIRv and LSWI, and running means of these, had not followed the rain deficit beyond the usual one.

    Args:
        sequences: of towers, with `WATER`.
        years: reference years of each place, whose typical weather says what is usual.
        response: of leaves; the mean slopes of plant types are taken.
    """
    actual, usual = sequences.drivers, usual_drivers(sequences, WATER, years)
    more = np.subtract(*(
        rain_deficit(**{name: np.asarray(of[name]) for name in WATER}, memory_days=response.memory_days) for of in (actual, usual)
    ))  # fmt: skip
    kinds = [PLANT_TYPES[int(code)] for code in actual["plant_type"]]
    moved = {}
    for base, follow in FOLLOWED.items():
        slope = np.array([response.of_type(base, kind)[0] for kind in kinds])
        back = np.asarray(follow(**{base: actual[base], "response": -slope * more}), np.float32)
        for name in (name for name in actual if split_history(name)[0] == base):
            _, window = split_history(name)
            moved[name] = trailing_mean(back, window) if window else back
    return replace(sequences, drivers={**actual, **moved})
