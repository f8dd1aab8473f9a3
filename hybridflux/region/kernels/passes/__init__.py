"""All results of a step of the day loop in one pass over draws and pixels, on a CPU."""
