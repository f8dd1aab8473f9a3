"""Errors of GPP and RECO at places that nobody measured: what the two have in common, beside the structural error of NEE.

A place that is more productive than a model takes it for has more GPP and more RECO, and NEE hardly shows it. So GPP and RECO share an
error g of their own, and the error e of NEE is shared out between them:

    NEE = nee + e,   GPP = gpp + g - w e,   RECO = reco + g + (1 - w) e,   w = odds gpp / (odds gpp + reco)

NEE = RECO - GPP in every draw. e and g are two structural errors (`model.structural_error`), independent of each other. The odds say how
much more of e belongs to GPP than its size does; in winter, without GPP, RECO has all of it. All is learned from towers that were left out
(`inference.fit_gross_error`). (Residuals of 50 left-out European towers, E12: GPP and RECO correlate by .58 in months and .68 in years, NEE
and the plain mean of both by -.41 and -.06, which odds of 4 take away; the rms of a year is .93, 1.20 and 1.14 gC m-2 d-1 in NEE, GPP and
RECO.)
"""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hybridflux.model.structural_error import StructuralError
from hybridflux.vocabulary import CARBON

ODDS_OF_SIZE = 1.0
"""Odds of GPP where its error is as large beside that of RECO as it is itself: of files of earlier versions, which have no gross error."""


class GrossError(eqx.Module):
    """Draws of the error that GPP and RECO have in common.

    Attributes:
        error: its hyperparameters.
        odds: of GPP, see above.
    """

    error: StructuralError
    odds: ArrayLike

    def of_draws(self, draws: int) -> GrossError:
        """As many draws as asked for, in turn."""
        return GrossError(self.error.of_draws(draws), jnp.full(draws, self.odds))

    def sample(
        self, net: StructuralError, key: PRNGKeyArray, fluxes: Mapping[str, Array], known: Mapping[str, Array],
        plant_type: ArrayLike | None = None,
    ) -> dict[str, Array]:  # fmt: skip
        """What towers could have measured of NEE, GPP and RECO, for one draw of the hyperparameters.

        NEE is that of `net.sample` with the first key. Measuring errors are those of each flux alone; the one of partitioned RECO, which
        follows the temperature of the night, is that of the gross fluxes.

        Args:
            net: structural error of NEE.
            key: random key.
            fluxes: modelled NEE, GPP and RECO `[time, ...]`, gC m-2 d-1, every day once.
            known: known random errors of fluxes, 0 where unknown.
            plant_type: of the places, indices into PLANT_TYPES; None where it is not known.
        """
        activity, nobody = 0.5 * (fluxes["gpp"] + fluxes["reco"]), jnp.zeros(())
        keys = {name: jax.random.fold_in(key, number) for number, name in enumerate((*CARBON, "gross"))}
        of_net, of_gross = (error.drawn(keys[name], activity, plant_type) for name, error in (("nee", net), ("gross", self.error)))
        of_gpp = error_of_gpp(fluxes["gpp"], fluxes["reco"], of_net, of_gross, self.odds)
        wrong = {"nee": of_net, "gpp": of_gpp, "reco": of_net + of_gpp}
        noises = with_measuring_errors(net, self)
        return {
            name: fluxes[name] + wrong[name] + noises[name].noise(keys[name], fluxes[name], known.get(name, nobody)) for name in CARBON
        }

    def to_header(self) -> dict:
        """JSON types for a file."""
        return {"odds": float(np.asarray(self.odds)), "raw": {name: np.asarray(raw).tolist() for name, raw in self.error.raw.items()}}

    @classmethod
    def from_header(cls, header: dict) -> GrossError:
        """What `to_header` gave."""
        raw = {name: jnp.asarray(values, jnp.float32) for name, values in header["raw"].items()}
        return cls(StructuralError(raw), header["odds"])


def share_of_gpp(gpp, reco, odds=ODDS_OF_SIZE):
    """Share of an error of NEE that belongs to GPP; numpy or jax.

    >>> [round(float(share_of_gpp(gpp, 2.0, 3.0)), 2) for gpp in (0.0, 2.0, 6.0)]
    [0.0, 0.75, 0.9]
    """
    xp = jnp if isinstance(gpp, jax.Array) else np  # also where it is traced
    gpp = xp.maximum(gpp, 0.0)
    return odds * gpp / xp.maximum(odds * gpp + reco, 1e-9)


def error_of_gpp(gpp, reco, of_net, of_gross=0.0, odds=ODDS_OF_SIZE):
    """Error of GPP; that of RECO is `of_net` more, so that NEE = RECO - GPP. Numpy or jax.

    Args:
        gpp: modelled, as `reco`.
        reco: modelled.
        of_net: error of NEE.
        of_gross: error that both have in common.
        odds: of GPP, as of `share_of_gpp`.
    """
    return of_gross - share_of_gpp(gpp, reco, odds) * of_net


def with_measuring_errors(net: StructuralError, gross: GrossError | None) -> dict[str, StructuralError]:
    """Flux -> the error whose measuring error of a day it has: RECO, which is partitioned, that of the gross fluxes where it is known."""
    return {"nee": net, "gpp": net, "reco": net if gross is None else gross.error}
