"""The day loop for GPUs: one Pallas program (`day_loop.py`), laid out and run by `launch.py`, given its inputs by `accelerator.py`."""
