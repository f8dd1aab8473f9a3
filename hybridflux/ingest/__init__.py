"""From the configuration of a region to its store: find, read, clean, fill and align everything the model needs.

Here: the configuration, the plan, the build and its check. Not here: readers of files (`data/`), the smoother of series (`series/`), the
layout of a region store (`region/`).
"""
