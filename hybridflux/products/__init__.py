"""Products of a region run: scenarios, budgets, comparison with inventories.

Here: paired counterfactuals, and tables of totals with intervals and a named spread. Not here: the day step and the tiles
(`region/`), figures and pages (`report/`).
"""
