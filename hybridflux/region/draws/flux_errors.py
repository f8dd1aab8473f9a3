"""Structural errors of the carbon fluxes of a region: of NEE, which towers inform, and of GPP and RECO, which have one in common beside it.

As `model.gross_error` has them at a place: GPP errs by g - w e and RECO by g + (1 - w) e, where e is the error of NEE, and w its share that
belongs to GPP. The field of g has the correlation that was learned of e. Towers say nothing of it: their residuals are those of NEE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridflux.inference.posterior import Posterior
from hybridflux.model.gross_error import ODDS_OF_SIZE, share_of_gpp
from hybridflux.model.structural_covariance import Periods
from hybridflux.region.draws.field_basis import FieldBasis
from hybridflux.region.draws.structural_field import StructuralField


@dataclass(frozen=True)
class FluxErrors:
    """Fields of the errors of a run.

    Attributes:
        net: of NEE.
        gross: of what GPP and RECO have in common; None of a posterior that does not know it.
        odds: of GPP (`model.gross_error`).
    """

    net: StructuralField
    gross: StructuralField | None = None
    odds: float = ODDS_OF_SIZE

    @classmethod
    def of(cls, basis: FieldBasis, posterior: Posterior, months: Periods, seed: int) -> FluxErrors:
        """Of a posterior that knows its structural error."""
        net = StructuralField.of(basis, posterior, months, seed)
        if posterior.gross is None:
            return cls(net)
        return cls(net, StructuralField.of_gross_fluxes(basis, posterior, months, seed), float(posterior.gross.odds))

    def errors(self, carbon: np.ndarray, area: np.ndarray, plant_type: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
        """Errors of NEE and GPP `[cell, month, draw]`, gC; that of RECO is their sum. Arguments as of `StructuralField.error`."""
        of_net = self.net.error(carbon, area, plant_type, features)
        of_gpp = part_of_gpp(carbon[:, :, 0], carbon[:, :, 1], of_net, self.odds)
        if self.gross is not None:
            of_gpp += self.gross.error(carbon, area, plant_type, features)
        return {"NEE": of_net, "GPP": of_gpp}


def part_of_gpp(gpp: np.ndarray, reco: np.ndarray, of_net: np.ndarray, odds: float = ODDS_OF_SIZE) -> np.ndarray:
    """What an error of NEE does to GPP `[..., draw]`; the mean over the draws is that of the share times that of the error.

    So it is zero without towers, and a budget agrees with the maps, though draws with more GPP have larger errors.

    Args:
        gpp: without errors, as `reco` `[..., draw]`.
        reco: without errors.
        of_net: the error of NEE `[..., draw]`.
        odds: of GPP.
    """
    part = share_of_gpp(gpp, reco, odds)
    mean = part.mean(axis=-1, keepdims=True) * of_net.mean(axis=-1, keepdims=True)
    part *= of_net
    part += mean - part.mean(axis=-1, keepdims=True)
    return np.negative(part, out=part)
