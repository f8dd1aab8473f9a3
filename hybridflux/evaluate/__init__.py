"""How good a posterior is on towers it has not seen.

Here: splits, scores, calibration, baselines. Not here: fitting (`inference/`), figures (`report/`).
"""
