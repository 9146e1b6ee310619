import pytest
import torch

from mixvi.distributions.negative_binomial import NegativeBinomial
from mixvi.model.anchor import anchored, anchored_draw

pytestmark = pytest.mark.law

MU = torch.tensor([[2.0, 5.0, 1e-3, 3.0]]).expand(20_000, 4)
AFTER = torch.tensor([[6.0, 1.0, 4.0, 3.0]]).expand(20_000, 4)
THETA = torch.full((4,), 3.0)


@pytest.fixture
def cells():
    torch.manual_seed(0)
    before, after = NegativeBinomial(MU, THETA), NegativeBinomial(AFTER, THETA)
    return before, after, before.sample()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("counts", [True, False])
def test_the_mean_over_cells_is_that_of_the_model(cells, share, counts):
    before, after, x = cells
    shown = anchored(before, after, x, torch.full((len(x), 1), share), counts=counts)
    torch.testing.assert_close(shown.mean(0), AFTER[0], rtol=0.05, atol=0.05)
    if counts:
        assert (shown >= 0).all()


def test_without_a_change(cells):
    before, _, x = cells
    half = torch.full((len(x), 1), 0.5)
    for counts in (True, False):
        torch.testing.assert_close(anchored(before, before, x, half, counts=counts), (x + MU) / 2)
        none = anchored(before, before, x, torch.zeros(len(x), 1), counts=counts)
        torch.testing.assert_close(none, MU)
    assert torch.equal(anchored_draw(before, before, x, 2 * half), x)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_draws_are_counts_with_the_mean_of_the_model(cells, share):
    before, after, x = cells
    drawn = anchored_draw(before, after, x, torch.full((len(x), 1), share))
    assert torch.equal(drawn, drawn.round())
    torch.testing.assert_close(drawn.mean(0), AFTER[0], rtol=0.05, atol=0.05)
    # thinned negative binomials are negative binomials with the same θ
    lost = drawn[:, 1]
    torch.testing.assert_close(lost.var(), torch.tensor(1 + 1 / 3.0), rtol=0.1, atol=0.0)
