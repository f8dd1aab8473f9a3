"""Inventories as zone tables with uncertainties: forest plots, soil networks, biomass maps.

Here: trees -> volume, biomass and carbon (`tree_carbon`), plots -> zones with design-based standard errors (`sampling`, `plots`),
biomass maps -> zones with correlated errors (`biomass_map`), stocks of two visits -> the stock changes that
`hybridflux.products.inventory` compares with a run (`stock_changes`). A plot that was visited once gives a stock, never a change: only
`stock_changes.changes`, and `revisits` of the French forest inventory, give changes, and they need two visits of each place. Not here: the
comparison with fluxes (`products/`).
"""
