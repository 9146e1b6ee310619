"""Another version of scvi-tools, or of what it stands on, finds the same clusters."""

import json
from pathlib import Path

import pytest
from tests.fixtures.clusters import MODELS, found

from mixvi.metrics import adjusted_rand_index

EXPECTED = Path(__file__).parents[1] / "fixtures" / "clusters.json"


@pytest.mark.contract
@pytest.mark.parametrize("name", MODELS)
def test_same_clusters_whatever_the_versions(name):
    expected = json.loads(EXPECTED.read_text())[name]
    assert len(set(expected)) > 5
    assert adjusted_rand_index(expected, found(name)) > 0.99
