"""The mean of each month at all fitted sites, whatever their plant type."""

import numpy as np

import hybridflux as hf


def months(sequences):
    """Month of each day, 0 to 11."""
    return sequences.days.astype("datetime64[M]").astype(int) % 12


@hf.register("baselines", "month")
class Month:
    """Fluxes of a month wherever it is."""

    needs = ()

    def fit(self, sequences):
        """Means of the months of these sites."""
        self.of = {
            name: np.array([np.nanmean(sequences.targets[name][months(sequences) == month]) for month in range(12)])
            for name in ("nee", "gpp", "reco")
        }
        return self

    def predict(self, sequences):
        """Flux -> `[time, place]`, gC m-2 d-1."""
        return {name: np.repeat(means[months(sequences)][:, None], len(sequences.places), axis=1) for name, means in self.of.items()}
