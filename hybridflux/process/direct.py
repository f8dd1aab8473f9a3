"""Fluxes that a network gives as a whole, with no physics between its inputs and the flux: what members of another kind are made of."""

from __future__ import annotations


def productivity(*, network_gpp):
    """GPP as the source of `network_gpp` gives it [gC m-2 d-1].

    >>> productivity(network_gpp=5.0)
    5.0
    """
    return network_gpp


def respiration(*, network_reco):
    """Reco as the source of `network_reco` gives it [gC m-2 d-1].

    >>> respiration(network_reco=3.0)
    3.0
    """
    return network_reco
