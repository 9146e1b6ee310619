"""The table behind a suggested number of clusters."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mixvi.pl import component_profiles, suggested_components


@pytest.fixture
def table() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "elbo": [-110.0, -104, -102, -101, -101],
            "merge_cost": [np.nan, 0.9, 0.4, 0.02, 0.0],
            "smallest": [1, 0.3, 0.2, 0.1, 0.02],
        },
        index=pd.Index([1, 2, 3, 4, 5], name="n_clusters"),
    )
    table.attrs["suggested"] = 3
    return table


def test_panels(table):
    figure = suggested_components(table)
    assert isinstance(figure, Figure)
    elbo, cost = figure.axes
    np.testing.assert_array_equal(elbo.lines[0].get_xydata(), table["elbo"].reset_index())
    np.testing.assert_array_equal(cost.lines[0].get_xydata(), [(2, 0.9), (3, 0.4), (4, 0.02)])
    assert (elbo.get_yscale(), cost.get_yscale()) == ("linear", "log")
    assert elbo.get_shared_x_axes().joined(elbo, cost)
    for axis, y in ((elbo, -102), (cost, 0.4)):
        assert list(axis.lines[1].get_xdata()) == [3, 3]
        np.testing.assert_array_equal(axis.lines[2].get_xydata(), [(3, y)])
    assert elbo.get_title() == "suggested: 3 clusters"
    figure.draw_without_rendering()


def test_stability_is_a_panel_where_it_was_computed(table):
    table["stability"] = [1, 1, 0.9, np.nan, 0.5]
    axes = suggested_components(table.iloc[::-1]).axes
    assert len(axes) == 3
    np.testing.assert_array_equal(
        axes[2].lines[0].get_xydata(), [(1, 1), (2, 1), (3, 0.9), (5, 0.5)]
    )


def test_a_number_that_cannot_be_merged_is_marked_without_a_point(table):
    table.attrs["suggested"] = 1
    _, cost = suggested_components(table).axes
    assert list(cost.lines[1].get_xdata()) == [1, 1]
    assert len(cost.lines[2].get_xdata()) == 0


@pytest.mark.parametrize("missing", ["elbo", "merge_cost"])
def test_refuses_another_table(table, missing):
    with pytest.raises(KeyError, match=f"column '{missing}', found"):
        suggested_components(table.drop(columns=missing))


def test_refuses_a_table_without_a_suggestion(table):
    table.attrs.clear()
    with pytest.raises(KeyError, match="expected the suggested number"):
        suggested_components(table)


@pytest.mark.parametrize(
    ("plot", "maker"),
    [
        (suggested_components, "suggest_n_components"),
        (component_profiles, "get_component_profiles"),
    ],
)
def test_cells_are_no_table(plot, maker):
    with pytest.raises(TypeError, match=f"table that {maker} returns, found AnnData"):
        plot(ad.AnnData(np.ones((2, 2))))
