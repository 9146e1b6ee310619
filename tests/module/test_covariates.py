import pytest
import torch
from torch.nn import functional

from mixvi.module import Covariates

pytestmark = pytest.mark.law

BATCH = torch.tensor([[0], [2], [1], [2]])
CONDITION = torch.tensor([[1], [0], [1], [0]])


@pytest.fixture
def tensors():
    return {
        "batch": BATCH,
        "condition": CONDITION,
        "extra_categorical_covs": torch.tensor([[0, 0], [1, 0], [3, 0], [2, 0]]),
        "extra_continuous_covs": torch.randn(4, 2),
    }


def test_columns_are_one_hot_then_continuous(tensors):
    covariates = Covariates(3, 2, n_cats_per_cov=[4, 1], n_continuous=2)
    c = covariates(tensors)
    expected = [
        functional.one_hot(BATCH.flatten(), 3),
        functional.one_hot(CONDITION.flatten(), 2),
        functional.one_hot(tensors["extra_categorical_covs"][:, 0], 4),
        tensors["extra_continuous_covs"],
    ]
    torch.testing.assert_close(c, torch.cat([column.float() for column in expected], 1))
    assert c.shape[1] == len(covariates) == 11


def test_nothing_registered_gives_no_columns(tensors):
    covariates = Covariates()
    zero = {"batch": torch.zeros(4, 1)}
    assert len(covariates) == 0
    assert covariates(zero).shape == (4, 0)
    assert covariates.with_batch(covariates(zero), 0).shape == (4, 0)


def test_with_batch_and_condition_are_c_of_other_codes(tensors):
    covariates = Covariates(3, 2, n_cats_per_cov=[4, 1], n_continuous=2)
    c = covariates(tensors)
    before = c.clone()
    for code in range(3):
        expected = covariates(tensors | {"batch": torch.full((4, 1), code)})
        torch.testing.assert_close(covariates.with_batch(c, code), expected)
    for code in range(2):
        expected = covariates(tensors | {"condition": torch.full((4, 1), code)})
        torch.testing.assert_close(covariates.with_condition(c, code), expected)
    assert torch.equal(c, before)


def test_condition_without_batches(tensors):
    covariates = Covariates(1, 2)
    c = covariates({"batch": torch.zeros(4, 1), "condition": CONDITION})
    torch.testing.assert_close(c, functional.one_hot(CONDITION.flatten(), 2).float())
    assert covariates.with_batch(c, 0) is c
    assert covariates.with_condition(c, 1).tolist() == [[0.0, 1.0]] * 4
