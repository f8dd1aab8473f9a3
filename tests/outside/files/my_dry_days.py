"""Days with dry soil: how many of a month lie below a threshold of extractable water, and how often all draws agree on it."""

from dataclasses import dataclass

import jax.numpy as jnp

import hybridflux as hf


@dataclass(frozen=True)
class DryDays(hf.Output):
    """Days of a month with less relative extractable water than `below`."""

    below: float = 0.4
    reads = ("rew",)

    def begin(self, static):
        return jnp.zeros((static.draws, static.n))

    def day(self, carry, values, today):
        return carry + (values["rew"] < self.below)

    def month(self, carry, sums):
        return jnp.zeros_like(carry), {"monthly/dry_days": carry.mean(0), "monthly/dry_days_sd": carry.std(0)}

    def arrays(self, calendar):
        what = f"days with less relative extractable water than {self.below:g}"
        yield hf.ArraySpec("monthly", "dry_days", f"{what}; mean over the draws", "d", largest=31, cell_methods="area: mean time: sum")
        yield hf.ArraySpec("monthly", "dry_days_sd", f"{what}; standard deviation over the draws", "d", largest=31, linear=False)
