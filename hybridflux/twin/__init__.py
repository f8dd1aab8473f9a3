"""A world whose fluxes are known: synthetic towers and a synthetic 10 m region.

Here: the generator behind the demo, the tests and the recovery checks. Not here: anything a real run needs.
"""
