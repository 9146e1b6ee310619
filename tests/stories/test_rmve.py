"""The module's objective against Pyro's.

With Bayes' rule both draw nothing but z, from the same noise, so they agree in every draw, to
rounding. With the other recognitions the module integrates z in its divergence by a closed form
and Pyro averages over draws; both sum over y. Then each test asks |Δ| < 4·SE (see `elbo`) and that
the SE is small (below .05 nats for four cells; the ELBO is about −53). What a wrong term does to Δ
is measured in `test_a_wrong_weight_is_seen` and `test_a_missing_term_is_seen`.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from pyro import poutine
from scvi import REGISTRY_KEYS
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from mixvi.stories import RMVEStory

from .elbo import BATCH, MAX_SE, N_CELLS, X, difference, module_elbo, pyro_elbo, story_inputs
from .small_module import COMPONENTS, GENES, make_module, make_rmve_module

pytestmark = pytest.mark.law

N_CHUNKS = 20
AVERAGED = ["network", "y_conditional"]
RECOGNITIONS = ["bayes", *AVERAGED]
COVARIANCES = ["diag", "spherical", "tied", "unit"]
LABELS = torch.tensor([2, 0, 1, 0])


def assert_equal_on_average(story, **kwargs):
    delta, se = difference(story, n_chunks=N_CHUNKS, **kwargs)
    assert se < MAX_SE
    assert abs(delta) < 4 * se


def assert_equal_in_every_draw(story, **kwargs):
    for seed in range(3):
        found = module_elbo(story.module, seed, **kwargs, n_draws=2)
        expected = pyro_elbo(story, seed, **kwargs, n_draws=2)
        assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("form", [None, "mmd", "means", "hellinger", "dpp"])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_bayes_objective_is_the_elbo_in_every_draw(covariance, form):
    assert_equal_in_every_draw(RMVEStory(make_rmve_module("bayes", covariance, form)))


@pytest.mark.parametrize(
    ("recognition", "covariance", "form"),
    list(itertools.product(AVERAGED, COVARIANCES, [None, "mmd"])),
)
def test_objective_is_the_elbo_of_the_story(recognition, covariance, form):
    assert_equal_on_average(RMVEStory(make_rmve_module(recognition, covariance, form)))


@pytest.mark.parametrize("recognition", [*AVERAGED, "standard"])
def test_objective_where_the_encoder_sees_covariates(recognition):
    assert_equal_on_average(RMVEStory(make_rmve_module(recognition, conditioning="partial")))


def test_bayes_objective_where_the_encoder_sees_covariates():
    assert_equal_in_every_draw(RMVEStory(make_rmve_module("bayes", conditioning="partial")))


def test_a_plain_vae():
    assert_equal_on_average(RMVEStory(make_rmve_module("standard")))


@pytest.mark.parametrize("form", [None, "hellinger"])
@pytest.mark.parametrize("recognition", AVERAGED)
def test_supervised_bound(recognition, form):
    story = RMVEStory(make_rmve_module(recognition, "diag", form, n_labels=COMPONENTS))
    assert_equal_on_average(story, labels=LABELS)


@pytest.mark.parametrize("form", [None, "hellinger"])
def test_supervised_bayes_bound_in_every_draw(form):
    story = RMVEStory(make_rmve_module("bayes", "diag", form, n_labels=COMPONENTS))
    assert_equal_in_every_draw(story, labels=LABELS)


@pytest.mark.parametrize("recognition", RECOGNITIONS)
def test_supervised_bound_of_other_labels_is_another(recognition):
    story = RMVEStory(make_rmve_module(recognition, n_labels=COMPONENTS))
    delta, se = difference(story, labels=LABELS, n_chunks=N_CHUNKS)
    others = (LABELS + 1) % COMPONENTS
    shift = module_elbo(story.module, 0, labels=others) - module_elbo(
        story.module, 0, labels=LABELS
    )
    assert abs(delta + shift) > max(6 * se, 0.1)


@pytest.mark.parametrize("recognition", RECOGNITIONS)
def test_a_cell_without_label_is_not_supervised(recognition):
    module = make_rmve_module(recognition, "diag", "mmd", n_labels=2)

    def terms(labels):
        torch.manual_seed(0)
        tensors = {"X": X, "batch": BATCH, "labels": torch.tensor(labels)[:, None]}
        *_, out = module(tensors)
        return torch.stack([out.reconstruction_loss["reconstruction_loss"], *out.kl_local.values()])

    some, every, none = terms([0, 2, 1, 2]), terms([0, 1, 1, 0]), terms([2, 2, 2, 2])
    assert torch.equal(some[:, ::2], every[:, ::2])
    assert torch.equal(some[:, 1::2], none[:, 1::2])
    assert not torch.equal(every, none)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_with_bayes_rule_the_component_sums_out(covariance):
    """The identity of VaDE: kl_z + kl_y = log q(z | x) − log Σ_k π_k N(z | μ_k, σ_k)."""
    module = make_rmve_module("bayes", covariance)
    tensors = {"X": X, REGISTRY_KEYS.BATCH_KEY: BATCH, "labels": BATCH}
    inference, _, out = module(tensors)
    prior, z = module.prior, inference["z"]
    scale = (0.5 * prior.components.log_variance).exp().expand(COMPONENTS, z.shape[-1])
    components = Independent(Normal(prior.components.loc, scale), 1)
    mixture = MixtureSameFamily(Categorical(prior.usage), components)
    expected = inference["qz"].log_prob(z).sum(-1) - mixture.log_prob(z)
    found = out.kl_local["kl_z"] + out.kl_local["kl_y"]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def _usage(module):
    module.prior.usage.copy_(torch.tensor([0.3, 0.4, 0.3]))


def _spread(module):
    module.prior.components.log_variance.add_(0.2)


def _place(module):
    module.prior.components.loc[0].add_(0.4)


def _strength(module):
    module.prior.strength *= 1.1


def _decoder(module):
    module.likelihood.rate.logits.bias[0] += 0.3


def _classifier(module):
    module.prior.classifier.bias[0] += 1


def _recognition(module):
    module.y_posterior.bias[0] += 1


def _shift(module):
    module.z_posterior.shift.bias[:2] += 0.3  # of the first component alone


@pytest.mark.parametrize(
    ("recognition", "perturb"),
    [
        *itertools.product(RECOGNITIONS, [_usage, _spread, _place, _strength, _decoder]),
        ("network", _classifier),
        ("y_conditional", _recognition),
        ("y_conditional", _shift),
        ("standard", _decoder),
    ],
)
def test_a_wrong_weight_is_seen(recognition, perturb):
    right, wrong = (make_rmve_module(recognition, "diag", "mmd") for _ in range(2))
    perturb(wrong)
    delta, se = difference(RMVEStory(wrong), right, n_chunks=N_CHUNKS)
    assert abs(delta) > max(6 * se, 1e-3)


@pytest.mark.parametrize(
    ("recognition", "term"),
    list(itertools.product(RECOGNITIONS, ["kl_z", "kl_y", "repulsion"])),
)
def test_a_missing_term_is_seen(recognition, term):
    story = RMVEStory(make_rmve_module(recognition, "diag", "mmd"))
    delta, se = difference(story, without=term, n_chunks=N_CHUNKS)
    assert abs(delta) > max(6 * se, 1e-3)


@pytest.mark.parametrize("recognition", [*RECOGNITIONS, "standard"])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_sites_and_shapes(recognition, labels):
    story = RMVEStory(make_rmve_module(recognition))
    inputs = (*story_inputs(story.module), labels)
    guide = poutine.trace(story.guide).get_trace(*inputs)
    model = poutine.trace(poutine.replay(story.model, trace=guide)).get_trace(*inputs)
    has_y = recognition != "standard"
    for trace in (guide, model):
        trace.compute_log_prob()
        drawn = set(trace.stochastic_nodes) - {"cells"}
        assert drawn == ({"y", "z"} if has_y and labels is None else {"z"})
        for name in drawn:
            assert trace.nodes[name]["log_prob"].shape == (N_CELLS,)
    assert set(model.observation_nodes) == ({"x", "y"} if has_y and labels is not None else {"x"})
    assert model.nodes["x"]["log_prob"].shape == (N_CELLS,)


@pytest.mark.parametrize("form", ["mmd", "means", "hellinger", "dpp"])
def test_every_cell_brings_the_whole_tempered_repulsion(form):
    story = RMVEStory(make_rmve_module("bayes", "diag", form))
    trace = poutine.trace(story.model).get_trace(*story_inputs(story.module))
    trace.compute_log_prob()
    log_h = story.prior.log_repulsion()
    assert log_h < -1e-3
    torch.testing.assert_close(
        trace.nodes["repulsion"]["log_prob"], 0.7 * log_h.expand(N_CELLS), rtol=1e-10, atol=0
    )


@pytest.mark.parametrize("recognition", ["bayes", "standard"])
def test_model_draws_cells(recognition):
    story = RMVEStory(make_rmve_module(recognition, "diag", "mmd"))
    _, c, log_depth = story_inputs(story.module)
    drawn = story.model(None, c, log_depth)
    assert drawn.shape == (N_CELLS, GENES)
    assert (drawn >= 0).all()
    assert torch.equal(drawn, drawn.round())


def test_other_priors_are_refused():
    with pytest.raises(
        TypeError, match="prior is a GaussianMixture or a StandardPrior, found DirichletMixture"
    ):
        RMVEStory(make_module())
