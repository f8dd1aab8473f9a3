"""What a harvest takes away and leaves behind: shares of the gross primary production since the last one, and the decay of the residues.

    export  = h GPP                  carbon that leaves the field
    residue = r GPP                  stubble, straw and roots that stay
    the rest of GPP was respired by the plants and is part of RECO

For annual crops h = CUE HI / (1 + R): carbon use efficiency, harvest index (share of the shoot) and root to shoot ratio; the whole plant
dies, so that r = CUE - h. For grass h is that of measured ledgers, and r the losses of the harvest, because the roots live on.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

CUE = 0.55
"""NPP over GPP of annual crops: 0.5 to 0.6 in closed stands (Cheng et al. 2000, 10.1046/j.1365-2486.2000.00367.x; Albrizio and Steduto
2003, 10.1016/S0168-1923(02)00252-6)."""
DECAY = 0.8
"""Rate at which residues leave the young pool [yr-1], ICBM (Andren and Katterer 1997, 10.1890/1051-0761(1997)007[1226:IBMFRE]2.0.CO;2)."""
HUMIFIED = 0.125
"""Share of what leaves the young pool that becomes old soil carbon, ICBM; the rest is respired."""


@dataclass(frozen=True)
class HarvestFraction:
    """Shares of the GPP since the last harvest.

    Attributes:
        export: mean share that is exported.
        sd: its standard deviation, common to all fields and years of a draw.
        residue: of annual crops, share that is exported or stays; of grass, what stays over what is exported.
        grass: whether the plants live on.
    """

    export: float
    sd: float
    residue: float = CUE
    grass: bool = False

    def draw(self, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Exported share and residue share of each draw `[draw]`; together they never pass `CUE`."""
        export = np.clip(self.export + self.sd * rng.standard_normal(draws), 0.0, CUE)
        return export, np.minimum(self.residue * export, CUE - export) if self.grass else self.residue - export


def _crop(harvest_index: float, root_to_shoot: float) -> HarvestFraction:
    """Of an annual crop; a fifth of error of the product of the three shares."""
    export = CUE * harvest_index / (1.0 + root_to_shoot)
    return HarvestFraction(export, 0.2 * export)


FRACTIONS: dict[str, HarvestFraction] = {
    "wheat": _crop(0.45, 0.24), "barley": _crop(0.45, 0.22), "maize": _crop(0.50, 0.22), "silage maize": _crop(0.90, 0.22),
    "rapeseed": _crop(0.35, 0.25), "sunflower": _crop(0.35, 0.22), "soybean": _crop(0.42, 0.19), "sugar beet": _crop(0.70, 0.05),
    "potato": _crop(0.75, 0.05), "CRO": HarvestFraction(0.23, 0.08),
    "GRA": HarvestFraction(0.14, 0.04, residue=0.15, grass=True),
}  # fmt: skip
"""By crop, or by IGBP plant type where the crop is not known.

Harvest indices: Hay 1995 (10.1111/j.1744-7348.1995.tb05015.x), Unkovich et al. 2010 (10.1016/S0065-2113(10)05005-4); of beet and potato the
share of the storage organ in the whole plant. Root to shoot ratios: IPCC 2006 guidelines, vol. 4, table 11.2. CRO: mean and spread of these
crops. GRA: 335 gC m-2 yr-1 were exported at CH-Cha on the mean of 16 years (Feigenwinter et al. 2023, hdl 20.500.11850/623992), 0.12 of
the GPP of that tower, most of which has grown since the last cut of its year (E18); a tenth to a fifth of hay is lost on the field."""


NAMES: dict[str, str] = {
    "wheat": "wheat ble bth btp bdh bdp froment weizen", "barley": "barley orge orh orp gerste", "silage maize": "mie ensilage silage",
    "maize": "maize corn mais mis mid", "rapeseed": "rapeseed canola colza czh czp raps", "sunflower": "sunflower tournesol trn",
    "soybean": "soybean soya soja soj", "sugar beet": "beet beets betterave btn zuckerrube",
    "potato": "potato potatoes pomme ptc ptf kartoffel",
}  # fmt: skip
"""Crop -> words by which the names of zones and parcels show it, without accents; of the codes of the RPG (CODE_CULTU) those of three
letters. A crop stands before one whose words its name may hold too: silage maize before maize."""


def crop_of(name: str) -> str:
    """The crop that the name of a zone or parcel shows, one of `FRACTIONS`; empty where it shows none.

    >>> crop_of("1234 Maïs ensilage"), crop_of("77 BTH"), crop_of("Pomme de terre de consommation"), crop_of("north")
    ('silage maize', 'wheat', 'potato', '')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = set(re.findall(r"[a-z]+", plain))
    return next((crop for crop, known in NAMES.items() if words & set(known.split())), "")


def fraction_of(crop: str, land_cover: str) -> HarvestFraction | None:
    """The shares of a crop, or else of its plant type; None where no harvest is a share of the GPP since the last (forests)."""
    return FRACTIONS.get(crop.strip().lower()) or FRACTIONS.get(land_cover)


def decay(residue: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Respired, humified and remaining carbon of residues at the end of each year `[year, ...]`.

    Residues of a year fall in its middle. Their respiration is part of the RECO that towers measured, and is not to be added to it.

    Args:
        residue: carbon that becomes residue in each year `[year, ...]`.
    """
    left, respired, humified, pool = np.zeros_like(residue), np.zeros_like(residue), np.zeros_like(residue), np.zeros_like(residue[0])
    for year, fresh in enumerate(residue):
        gone = pool * -np.expm1(-DECAY) + fresh * -np.expm1(-0.5 * DECAY)
        pool = pool + fresh - gone
        left[year], humified[year], respired[year] = pool, HUMIFIED * gone, (1.0 - HUMIFIED) * gone
    return respired, humified, left
