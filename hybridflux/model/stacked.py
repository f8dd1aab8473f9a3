"""Draws of two kinds in one model: process members, and members of a network that knows no physics.

Kinds that are built differently err differently, so that a mixture of both predicts places that neither has seen better than each alone
(Yao et al. 2018, 10.1214/17-BA1091; Bates & Granger 1969). Every draw is one member of each kind, and a standard normal that says which
of them speaks: so all that works on draws (files, maps, budgets) works on a stacked model, and a draw is of one kind in all pixels of a
plant type. The shares of the kinds belong to the model, for each plant type; a fit finds them (`inference.stacking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from hybridflux.model.flux import HybridFlux
from hybridflux.model.observed import Observed
from hybridflux.model.sources import AbstractSource, Names
from hybridflux.process.call import product
from hybridflux.process.declare import process
from hybridflux.vocabulary import PLANT_TYPES, Parameter, Variable

KINDS = ("process", "network")
NETWORK = KINDS[1]
KIND = Parameter(
    "member_kind", "1", "kind of a member: 0 where it is a process member, 1 where it is a network; its mean is the share of networks",
    0.5, 0.0, 1.0, 1.0, "shares by stacking: Yao et al. 2018, 10.1214/17-BA1091",
)  # fmt: skip


@process(parameters=[KIND], bounds=(0.0, 1.0))
def of_network(*, member_kind):
    """Whether a network speaks [1].

    >>> of_network(member_kind=1.0)
    1.0
    """
    return member_kind


class MemberKind(AbstractSource):
    """0 or 1: a draw is a network where the normal probability of its `z` lies below the share of networks of the plant type."""

    z: Float[Array, ""]
    share: Float[Array, " plant_type"]

    def __init__(self, share: ArrayLike | Sequence[float] = 0.5):
        """`share` of networks, one for all plant types or one each.

        Raises:
            ValueError: a share is not between 0 and 1.
        """
        self.z = jnp.zeros((), jnp.float32)
        self.share = jnp.broadcast_to(jnp.asarray(share, jnp.float32), len(PLANT_TYPES))
        if not bool(jnp.all((self.share >= 0) & (self.share <= 1))):
            raise ValueError(f"the share of networks is not between 0 and 1: {self.share.tolist()}")

    def reads(self):
        return ("plant_type",)

    def value(self, row, names):
        return (jax.scipy.special.ndtr(self.z) < self.share[names["plant_type"]]).astype(jnp.float32)


class Stacked(HybridFlux):
    """Two kinds of model as one: `Stacked(hybrid_water(), network())`.

    States, and what outputs may read beside fluxes, are those of the process members.
    """

    network_observed: dict[str, Observed]
    network_gpp: tuple[Callable, ...] = eqx.field(static=True)
    network_reco: tuple[Callable, ...] = eqx.field(static=True)

    def __init__(self, process: HybridFlux, network: HybridFlux, share: ArrayLike | Sequence[float] = 0.5):
        """Stack two models, with or without draws.

        Args:
            process: of the first kind.
            network: of the second kind, without memory; none of its parameters is one of the first.
            share: of draws that are of the second kind, one for all plant types or one each.

        Raises:
            ValueError: the second kind has a memory, or both have a parameter of one name.
        """
        if network.memory:
            raise ValueError("a model of the second kind has no memory of its own; give it inputs such as tair_30d")
        both = sorted({*process.sources} & {*network.sources})
        if both:
            raise ValueError(f"both kinds have the parameter {', '.join(both)}, which each learns for itself; give one of them another")
        self.gpp, self.reco, self.memory = process.gpp, process.reco, process.memory
        self.network_gpp, self.network_reco = network.gpp, network.reco
        self.observed, self.network_observed = process.observed, network.observed
        self.sources = {**process.sources, **network.sources, KIND.name: MemberKind(share)}

    @property
    def share(self) -> Array:
        """Share of networks `[plant_type]`."""
        kind = self.sources[KIND.name]
        assert isinstance(kind, MemberKind)
        return kind.share

    def kinds(self) -> dict[str, HybridFlux]:
        """Kind -> its model, with the draws it has here."""
        network = self._of(self.network_gpp, self.network_reco, (), self.network_observed)
        return dict(zip(KINDS, (self._of(self.gpp, self.reco, self.memory, self.observed), network), strict=True))

    def _of(self, gpp, reco, memory, observed: dict[str, Observed]) -> HybridFlux:
        bare = HybridFlux(gpp=gpp, reco=reco, memory=memory, sources={}, observed=observed.values())
        return HybridFlux(
            gpp=gpp, reco=reco, memory=memory, sources={name: self.sources[name] for name in bare.sources}, observed=observed.values()
        )

    def functions(self):
        return (*super().functions(), *self.network_gpp, *self.network_reco, of_network)

    def needs_at_towers(self):
        return tuple(sorted({name for one in self.kinds().values() for name in one.needs_at_towers()}))

    def targets(self) -> tuple[Variable, ...]:
        return tuple({row.name: row for one in self.kinds().values() for row in one.targets()}.values())

    def flux(self, which: Literal["gpp", "reco"], names: Names) -> Array:
        of_network = product({"gpp": self.network_gpp, "reco": self.network_reco}[which], names)
        return jnp.where(jnp.asarray(names[KIND.name]) > 0.5, of_network, super().flux(which, names))


def shares_by_type(model: Stacked, plant_types: Iterable[str]) -> dict[str, float]:
    """Plant type -> share of networks."""
    return {code: round(float(model.share[PLANT_TYPES.index(code)]), 3) for code in plant_types}
