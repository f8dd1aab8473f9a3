"""Physics over blocks of pixels: inputs on the devices (`kernel_inputs.py`), the day loop for CPUs (`cpu.py`) and for GPUs (`gpu/`).

On a CPU two runs at once are walked in `passes/`.
"""
