"""From the configuration of a region to its store: find, read, clean, fill and align everything that the model needs.

Here: the configuration, the dry run, the build and its report. Not here: readers of files (`data/`), the smoother of series (`series/`),
the layout of a region store (`region/`).
"""
