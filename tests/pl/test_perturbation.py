import matplotlib.pyplot as plt
import numpy as np
import pytest

from mixvi import pl


def test_names_the_genes_that_change_most():
    rng = np.random.default_rng(0)
    control = rng.gamma(1, 1, 30)
    observed = control.copy()
    observed[[4, 7]] += 3
    ax = pl.perturbation(
        control, observed, control, var_names=[f"g{i}" for i in range(30)], n_top=2
    )
    assert {text.get_text() for text in ax.texts} == {"g4", "g7"}
    assert "change" in ax.get_title()
    assert pl.perturbation(observed, observed, control, var_names=np.arange(30), ax=ax) is ax
    assert ax.get_title() == "R² of means 1.000, of the change 1.000"
    plt.close(ax.figure)


def test_wrong_names():
    with pytest.raises(ValueError, match="var_names"):
        pl.perturbation([1.0, 2], [1.0, 3], [1.0, 1], var_names=["a"])
