"""The module's objective against Pyro's.

The module integrates z (in its divergence), w and d by closed forms, Pyro averages over draws of
all of them; both sum over y. Each test asks |Δ| < 4·SE (see `elbo`) and that the SE is small (below
.05 nats for four cells; the ELBO is about −60); what a wrong term does to Δ is measured in
`test_a_wrong_term_is_seen`.
"""

from __future__ import annotations

import itertools
import math

import pyro
import pytest
import torch
from pyro import poutine

from mixvi.distributions import (
    BernoulliLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from mixvi.priors import StandardPrior
from mixvi.stories import CellExpression, CGMDVAEStory

from .elbo import MAX_SE, N_CELLS, N_CHUNKS, N_DRAWS, X, difference, story_inputs
from .small_module import ALPHA, COMPONENTS, GENES, make_module

pytestmark = pytest.mark.law

FORMS = ["collapsed", "network", "global", None]


@pytest.mark.parametrize(
    ("dirichlet", "conditioning", "n_style"),
    list(itertools.product(FORMS, ["decoder", "full"], [0, 2])),
)
def test_objective_is_the_elbo_of_the_story(dirichlet, conditioning, n_style):
    story = CGMDVAEStory(make_module(dirichlet, conditioning, n_style))
    delta, se = difference(story)
    assert se < MAX_SE
    assert abs(delta) < 4 * se


@pytest.mark.parametrize("conditioning", ["partial", "full"])
def test_objective_with_learned_style_and_classifier(conditioning):
    module = make_module("network", conditioning, 2, learned_style=True, classifier=True)
    delta, se = difference(CGMDVAEStory(module))
    assert se < MAX_SE
    assert abs(delta) < 4 * se


@pytest.mark.parametrize("likelihood", [NormalLikelihood, BernoulliLikelihood])
def test_objective_of_data_that_are_not_counts(likelihood):
    story = CGMDVAEStory(make_module("collapsed", "decoder", 2, likelihood=likelihood))
    delta, se = difference(story, x=(X > 1).double())
    assert se < MAX_SE
    assert abs(delta) < 4 * se


def _alpha(module):
    module.prior.mixture_weights.alpha *= 1.3


def _spread(module):
    module.prior.components.log_variance.add_(0.1)


def _style(module):
    module.prior.style_posterior.loc.bias.add_(0.2)


def _decoder(module):
    module.likelihood.rate.logits.bias[0] += 0.3


def _count(module):
    # away from the best a; a change across it would leave the bound as it was
    module.prior.mixture_weights.concentration[0] -= 2


@pytest.mark.parametrize(
    ("dirichlet", "perturb"),
    [
        ("collapsed", _alpha),
        ("network", _alpha),
        ("global", _alpha),
        ("global", _count),
        (None, _spread),
        (None, _style),
        (None, _decoder),
    ],
)
def test_a_wrong_term_is_seen(dirichlet, perturb):
    right, wrong = make_module(dirichlet, "decoder", 2), make_module(dirichlet, "decoder", 2)
    perturb(wrong)
    delta, se = difference(CGMDVAEStory(wrong), right)
    assert abs(delta) > 6 * se


@pytest.mark.parametrize(
    ("conditioning", "n_style", "classifier"),
    [("decoder", 0, False), ("decoder", 2, False), ("full", 2, True)],
)
def test_same_z_differs_by_the_covariance(conditioning, n_style, classifier):
    module = make_module("collapsed", conditioning, n_style, classifier=classifier)
    story = CGMDVAEStory(module, same_z=True)
    delta, se = difference(story)
    # Σ_k Cov(q_k, log p(z | w, y = k)) from draws of the guide
    x, c, log_depth = story_inputs(module)
    torch.manual_seed(N_CHUNKS)
    with pyro.plate("draws", N_CHUNKS * N_DRAWS, dim=-2):
        sites = poutine.trace(story.guide).get_trace(x, c, log_depth).nodes
    q = sites["y"]["fn"].probs
    w = sites["w"]["value"] if n_style else None
    components = module.prior.components(story._with_covariates(w, c))
    log_p = torch.distributions.Normal(components.loc, components.scale)
    log_p = log_p.log_prob(sites["z"]["value"].unsqueeze(-2)).sum(-1)
    products = ((q - q.mean(0)) * (log_p - log_p.mean(0))).sum((1, 2))
    covariance, covariance_se = products.mean(), products.std() / math.sqrt(len(products))
    assert covariance_se < MAX_SE
    assert abs(delta - covariance) < 4 * math.hypot(se, covariance_se)
    assert abs(delta) > 6 * se  # so the two bounds are told apart


def test_bounds_agree_where_components_coincide():
    module = make_module("collapsed", "decoder", 0)
    module.prior.components.loc.zero_()
    module.prior.components.log_variance.zero_()
    delta, se = difference(CGMDVAEStory(module, same_z=True))
    assert se < MAX_SE
    assert abs(delta) < 4 * se


@pytest.mark.parametrize("dirichlet", FORMS)
@pytest.mark.parametrize("n_style", [0, 2])
def test_sites_and_shapes(dirichlet, n_style):
    story = CGMDVAEStory(make_module(dirichlet, "full", n_style))
    inputs = story_inputs(story.module)
    guide = poutine.trace(story.guide).get_trace(*inputs)
    model = poutine.trace(poutine.replay(story.model, trace=guide)).get_trace(*inputs)
    for trace in (guide, model):
        trace.compute_log_prob()
        drawn = set(trace.stochastic_nodes) - {"cells", "z_seen"}
        expected = {"y", "z"} | ({"w"} if n_style else set()) | ({"d"} if dirichlet else set())
        assert drawn == expected
        for name in drawn:
            shape = () if name == "d" and dirichlet == "global" else (N_CELLS,)
            assert trace.nodes[name]["log_prob"].shape == shape
    assert model.observation_nodes == ["x"]
    assert model.nodes["x"]["log_prob"].shape == (N_CELLS,)
    if dirichlet:
        assert torch.equal(
            model.nodes["d"]["fn"].concentration[..., 0],
            torch.full_like(model.nodes["d"]["fn"].concentration[..., 0], ALPHA),
        )
    assert guide.nodes["y"]["fn"].probs.shape == (N_CELLS, COMPONENTS)


def test_another_draw_is_another_draw_and_costs_nothing():
    story = CGMDVAEStory(make_module())
    trace = poutine.trace(story.guide).get_trace(*story_inputs(story.module))
    trace.compute_log_prob()
    assert not torch.equal(trace.nodes["z_seen"]["value"], trace.nodes["z"]["value"])
    assert trace.nodes["z_seen"]["log_prob_sum"] == 0


@pytest.mark.parametrize("dirichlet", FORMS)
def test_model_draws_cells(dirichlet):
    story = CGMDVAEStory(make_module(dirichlet, "full", 2))
    _, c, log_depth = story_inputs(story.module)
    drawn = story.model(None, c, log_depth)
    assert drawn.shape == (N_CELLS, GENES)
    assert (drawn >= 0).all()
    assert torch.equal(drawn, drawn.round())


@pytest.mark.parametrize(
    "likelihood",
    [
        BernoulliLikelihood,
        NormalLikelihood,
        PoissonLikelihood,
        ZeroInflatedNegativeBinomialLikelihood,
    ],
)
def test_a_cell_is_one_event(likelihood):
    torch.manual_seed(0)
    genes = likelihood(5, GENES).double()(torch.randn(N_CELLS, 5).double(), X.sum(1, True).log())
    x = (X > 1).double() if likelihood is BernoulliLikelihood else X
    cell = CellExpression(genes)
    assert (cell.batch_shape, cell.event_shape) == ((N_CELLS,), (GENES,))
    torch.testing.assert_close(cell.log_prob(x), genes.cell_log_prob(x), rtol=1e-9, atol=1e-9)
    assert cell.sample((3,)).shape == (3, N_CELLS, GENES)


def test_other_priors_are_refused():
    module = make_module()
    module.prior = StandardPrior(2)
    with pytest.raises(TypeError, match="expected a module whose prior is a DirichletMixture"):
        CGMDVAEStory(module)
