"""One run on disk: begun and swept (`lifecycle.py`), held by a lock, done tile by tile (`tile.py`) by an executor, estimated, reported."""
