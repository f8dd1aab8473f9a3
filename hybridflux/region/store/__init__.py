"""A region on disk: its grid, the form of its arrays, checksums of its chunks; how it is made, checked and given further maps."""
