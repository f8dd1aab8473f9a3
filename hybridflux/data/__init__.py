"""Files in, named arrays out: towers, satellite series, rasters, the data catalog.

Here: readers by kind of file, quality rules, alignment and gap filling, and the border where names, units and signs are
converted once. Not here: anything fitted (`inference/`), anything mapped (`region/`), one reader per dataset (datasets
differ by their catalog entry).
"""
