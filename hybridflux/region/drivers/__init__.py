"""What a run reads of a region: the region opened, its days and tiles, drivers of a tile under a change, and whether they are plausible."""
