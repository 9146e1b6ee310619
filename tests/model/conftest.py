"""Trained models for the contract suite."""

import pytest
import scvi
from tests.model.specs import QUICK, SPECS, cells


@pytest.fixture(params=SPECS, scope="module")
def spec(request):
    return SPECS[request.param]


@pytest.fixture(scope="module")
def trained(spec):
    """(spec, model): the model is shared by the module's tests, which must not change it."""
    scvi.settings.seed = 0
    model = spec.make(cells())
    model.train(**QUICK)
    return spec, model


@pytest.fixture
def fresh(spec):
    """(spec, model) that a test may change."""
    scvi.settings.seed = 0
    model = spec.make(cells())
    model.train(**QUICK)
    return spec, model
