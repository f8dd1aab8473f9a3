"""Look at the maps of runs of any size in a browser: a server of this machine only, or a folder that opens offline."""
