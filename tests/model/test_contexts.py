"""Averages over the covariates that cells come with."""

import numpy as np
import pytest
import torch

from mixvi.model.contexts import covariate_contexts, mean_over_contexts

rng = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 400])
def test_contexts_that_agree_are_not_rounded(n):
    c = rng.normal(size=(n, 1)).astype(np.float32).repeat(rng.integers(1, 9, n), 0)
    rows, share = covariate_contexts(c, torch.device("cpu"))
    value = torch.from_numpy(rng.normal(size=(5, 4)).astype(np.float32))
    mean = mean_over_contexts(share, value.expand(len(rows), 5, 4))
    np.testing.assert_array_equal(mean, value)
    assert mean.dtype == np.float32


def test_contexts_count_by_their_cells():
    c = np.array([[0.0], [1.0], [1.0], [1.0]], dtype=np.float32)
    rows, share = covariate_contexts(c, torch.device("cpu"))
    np.testing.assert_allclose(mean_over_contexts(share, rows), [0.75])
