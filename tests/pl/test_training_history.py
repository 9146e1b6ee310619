import numpy as np
import pandas as pd
import pytest
from tests.pl.annotated import annotated

from mixvi.pl import training_history


def test_every_term_has_a_panel():
    adata = annotated()
    figure = training_history(adata)
    shown = [axis for axis in figure.axes if axis.lines]
    assert [axis.get_title() for axis in shown] == ["negative ELBO", "KL of y"]
    history = adata.uns["cgmdvae"]["history"]
    for axis, term in zip(shown, ("elbo", "kl_y"), strict=True):
        for line, mode in zip(axis.lines, ("train", "validation"), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), history[f"{term}_{mode}"])
        (phase,) = axis.patches
        assert (phase.get_x(), phase.get_x() + phase.get_width()) == (0, 20)


def test_a_model_has_a_history():
    class Trained:
        def __init__(self):
            self.history = {
                "elbo_train": pd.DataFrame({"elbo_train": [3.0, 2, 1]}),
                "kl_y_train": pd.DataFrame({"kl_y_train": [0.5, 0.4]}, index=[1, 2]),
            }

    elbo, y = [axis.lines[0] for axis in training_history(Trained()).axes]
    assert list(elbo.get_xdata()) == [0, 1, 2]
    assert list(y.get_xdata()) == [1, 2]  # it began later
    assert list(y.get_ydata()) == [0.5, 0.4]


def test_without_training():
    class Untrained:
        history = None

    with pytest.raises(KeyError, match="training curves"):
        training_history(Untrained())
