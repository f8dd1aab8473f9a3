"""What is kept of a run: the result of a tile in order, the store of fluxes, totals of zones merged over tiles, GeoTIFFs."""
