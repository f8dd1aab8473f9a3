"""A posterior over a region: tiles in, daily maps and totals per draw out.

Here: the grid and its true areas, `run_tile`, streaming reductions, executors, the store of fluxes. Not here: what a map is
used for (`products/`), reading satellite scenes (`data/`).
"""
