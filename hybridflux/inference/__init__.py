"""From a model and tower sequences to a posterior: the same model with one more leading axis.

Here: the joint density, the posterior and its file, one module per method with the one verb `fit`. Not here: reading
towers (`data/`), scoring predictions (`evaluate/`).
"""
