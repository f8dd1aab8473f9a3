"""Figures, tables and the one HTML page of a run, readable without a network.

Here: drawing the results of other floors. Not here: computing them.
"""
