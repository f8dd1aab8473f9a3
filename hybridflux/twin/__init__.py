"""A synthetic world with known fluxes: towers and a 10 m region.

Here: the generator behind the demo, the tests and the recovery checks. Not here: anything that a real run needs.
"""
