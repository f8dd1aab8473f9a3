"""Random numbers of a Student-t are those of the distribution in SciPy, whatever its tail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, t

from hybridflux.model.student_t import student_t


@pytest.mark.parametrize("tail", [2.1, 5.0, 30.0, 400.0])
def test_numbers_are_those_of_the_distribution(tail):
    numbers = np.asarray(student_t(jax.random.key(3), tail, (200_000,)))
    assert np.isfinite(numbers).all() and kstest(numbers, t(tail).cdf).pvalue > 0.05


def test_each_number_may_have_its_own_tail():
    numbers = np.asarray(student_t(jax.random.key(4), jnp.array([[2.5], [40.0]]), (2, 100_000)))
    assert all(kstest(row, t(tail).cdf).pvalue > 0.05 for row, tail in zip(numbers, (2.5, 40.0), strict=True))
    assert abs(np.corrcoef(numbers[1, :-1], numbers[1, 1:])[0, 1]) < 0.01
