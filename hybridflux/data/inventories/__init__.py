"""Inventories as zone tables with uncertainties: forest plots, soil networks, biomass maps.

Here: trees -> volume, biomass and carbon (`trees`), plots -> zones with design-based standard errors (`sampling`, `plots`),
biomass maps -> zones with correlated errors (`biomass_map`), stocks of two visits -> the stock changes that
`hybridflux.products.inventory` compares with a run (`tables`). A plot that was visited once gives stock, never change: only
`tables.changes` writes changes, and it needs two visits of each place. Not here: the comparison with fluxes (`products/`).
"""
