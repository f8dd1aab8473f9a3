"""What a run reads of a region: opened (`open.py`), a tile under a change (`read.py`), days and tiles, and whether all is plausible."""
