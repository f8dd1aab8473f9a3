"""Figures, tables and the one HTML page of a run, readable without a network.

Here: drawing what other floors computed. Not here: computing it.
"""
