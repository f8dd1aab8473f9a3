"""fAPAR of green canopy from Sentinel-2 bands: the neural network of the Sentinel-2 Toolbox (SL2P), trained on PROSAIL.

Weiss and Baret 2016, "S2ToolBox Level 2 products: LAI, FAPAR, FCOVER", version 1.1, ESA. Coefficients: version 2.1 of the toolbox (auxdata
of s2tbx-biophysical, folder 2_1), to its 12 digits; the fapar script of sentinel-hub/custom-scripts has the same numbers. The networks of
version 3.0, one for each satellite, are not these. PROSAIL has no clumped canopies: forests tend to come out low.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BANDS = ("B03", "B04", "B05", "B06", "B07", "B8A", "B11", "B12")
ANGLES = ("view_zenith", "view_azimuth", "sun_zenith", "sun_azimuth")
"""Angles that a scene must provide [degree], besides `BANDS`."""
LARGEST = 0.94
"""Values between this and `LARGEST + TOLERANCE` are saturated and set to it."""
TOLERANCE = 0.1
"""Beyond it below 0 or above `LARGEST`, an output is not valid."""
ROOM = 0.01
"""Reflectance by which an input may be outside the training data."""

# lowest and highest value of the training data: the bands, then cos(view zenith), cos(sun zenith), cos(relative azimuth)
_RANGE = np.array(
    [
        [0.0, 0.253061520472],
        [0.0, 0.290393577911],
        [0.0, 0.305398915249],
        [0.00663797254225, 0.608900395798],
        [0.0139727270189, 0.753827384323],
        [0.0266901380821, 0.782011770669],
        [0.0163880741923, 0.493761397883],
        [0.0, 0.49302598446],
        [0.918595400582, 0.999999999991],
        [0.342022871159, 0.936206429175],
        [-0.999999982118, 0.99999999891],
    ]
)
_HIDDEN = np.array(  # [neuron, input], inputs as in _RANGE
    [
        [
            *(0.268714454733, -0.20547310803, 0.281765694196, 1.33744341226, 0.390319212938, -3.6127143422),
            *(0.222530960987, 0.821790549667, -0.0936645673107, 0.0192901461474, 0.0373644463772),
        ],
        [
            *(-0.2489980546, -0.571461305473, -0.369957603467, 0.246031694651, 0.332536215253, 0.438269896209),
            *(0.81900055189, -0.934931499059, 0.0827162476519, -0.286978634108, -0.0358909683517),
        ],
        [
            *(-0.164063575316, -0.126303285738, -0.253670784367, -0.321162835049, 0.0670822879736, 2.02983228866),
            *(-0.0231412288277, -0.553176625658, 0.0592854518978, -0.0343344545414, -0.031776704097),
        ],
        [
            *(0.130240753004, 0.236781035723, 0.131811664093, -0.250181799268, -0.0113641499533, -1.85757321463),
            *(-0.146860751014, 0.528008831372, -0.0462307690983, -0.0345096083922, 0.031884395036),
        ],
        [
            *(-0.0299299461669, 0.795804414041, 0.348025317625, 0.943567007519, -0.276341670432, -2.94659418014),
            *(0.289483073507, 1.04400695044, -0.000413031960419, 0.40333111484, 0.0684271305267),
        ],
    ]
)
_HIDDEN_BIAS = np.array([-0.88706836404, 0.320126471197, 0.6105237025, -0.379156190834, 1.35302339669])
_OUTPUT = np.array([2.12603881106, -0.632044932795, 5.59899578721, 1.77044414058, -0.267879583605])
_OUTPUT_BIAS = -0.336431283973
_OUTPUT_RANGE = 0.000153013463222, 0.97713509698


def fapar(reflectance: Mapping[str, np.ndarray]) -> np.ndarray:
    """Absorbed share of PAR [1] of green canopy at the overpass `[...]`, NaN where a band is missing or outside the training data.

    Args:
        reflectance: `BANDS` [1] and `ANGLES` [degree], all `[...]` or broadcasting.

    Raises:
        ValueError: a band or an angle is missing.
    """
    missing = [name for name in (*BANDS, *ANGLES) if name not in reflectance]
    if missing:
        raise ValueError(f"fapar needs {', '.join(BANDS)} and the angles {', '.join(ANGLES)}; missing are {', '.join(missing)}")
    angle = {name: np.radians(np.asarray(reflectance[name], float)) for name in ANGLES}
    turn = np.cos(angle["sun_azimuth"] - angle["view_azimuth"])
    bands = [np.asarray(reflectance[band], float) for band in BANDS]
    return network(np.stack(np.broadcast_arrays(*bands, np.cos(angle["view_zenith"]), np.cos(angle["sun_zenith"]), turn)))


def network(inputs: np.ndarray) -> np.ndarray:
    """Absorbed share of PAR [1] `[...]` of inputs `[11, ...]`: `BANDS` [1], cosines of view zenith, sun zenith, relative azimuth."""
    low, high = (column.reshape(-1, *(1,) * (inputs.ndim - 1)) for column in _RANGE.T)
    number = len(BANDS)
    known = ((inputs[:number] >= low[:number] - ROOM) & (inputs[:number] <= high[:number] + ROOM)).all(axis=0)
    scaled = 2.0 * (inputs - low) / (high - low) - 1.0
    hidden = np.tanh(np.tensordot(_HIDDEN, scaled, axes=1) + _HIDDEN_BIAS.reshape(-1, *(1,) * (inputs.ndim - 1)))
    least, most = _OUTPUT_RANGE
    raw = 0.5 * (np.tensordot(_OUTPUT, hidden, axes=1) + _OUTPUT_BIAS + 1.0) * (most - least) + least
    valid = known & (raw >= -TOLERANCE) & (raw <= LARGEST + TOLERANCE)
    return np.where(valid, np.clip(raw, 0.0, LARGEST), np.nan)
