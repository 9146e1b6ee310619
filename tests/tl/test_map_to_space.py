"""Cells to their place: what is written, for whom, and what is refused."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mixvi import tl
from mixvi.metrics import place_scores
from mixvi.space import fit_places, permutation_null

WRITTEN = {
    "obs": {"place_sd", "place_error", "place_group"},
    "obsm": {"X_place", "place_sd", "place_measured", "place_held_out"},
    "uns": {"place"},
}


@pytest.fixture
def adata() -> ad.AnnData:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(240, 4))
    places = z @ rng.normal(size=(4, 2)) + 0.3 * rng.normal(size=(240, 2))
    places[200:] = np.nan
    organs = pd.Categorical.from_codes(np.repeat(np.arange(6), 40), [*"ABCDEF"])
    obs = pd.DataFrame(
        {"section": np.tile([*"pqrs"], 60), "organ": organs},
        index=[f"cell{i}" for i in range(240)],
    )
    cells = ad.AnnData(rng.poisson(1, (240, 3)).astype(np.float32), obs=obs)
    cells.obsm["X_rmve"], cells.obsm["spatial"] = z, places
    return cells


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(rng.normal(size=(6, 2)), index=[*"ABCDEF"], columns=["side", "height"])


def keys(adata):
    return {slot: set(getattr(adata, slot)) for slot in WRITTEN}


def test_writes_its_keys_and_nothing_else(adata):
    before = adata.copy()
    assert tl.map_to_space(adata, n_permutations=100) is None
    for slot, added in WRITTEN.items():
        assert keys(adata)[slot] - keys(before)[slot] == added
        for name in getattr(before, slot):
            np.testing.assert_array_equal(getattr(adata, slot)[name], getattr(before, slot)[name])
    np.testing.assert_array_equal(adata.X, before.X)


def test_copy(adata):
    before = keys(adata)
    copy = tl.map_to_space(adata, n_permutations=100, copy=True)
    assert keys(adata) == before
    assert WRITTEN["obsm"] <= set(copy.obsm)


def test_says_what_the_read_out_says(adata):
    tl.map_to_space(adata, groups_key="section", n_permutations=100, rng=3)
    known = slice(0, 200)
    z, places = adata.obsm["X_rmve"], adata.obsm["spatial"]
    sections = adata.obs["section"].to_numpy()[known]
    fit = fit_places(z[known], places[known], sections)
    expected, sd = fit.readout.predict(z)
    np.testing.assert_allclose(adata.obsm["X_place"], expected)
    np.testing.assert_allclose(adata.obsm["place_sd"], sd)
    np.testing.assert_allclose(adata.obs["place_sd"], np.sqrt((sd**2).sum(1)))
    np.testing.assert_allclose(adata.obsm["place_held_out"][known], fit.predicted)
    error = np.linalg.norm(fit.predicted - places[known], axis=1)
    np.testing.assert_allclose(adata.obs["place_error"][known], error)
    stored = adata.uns["place"]
    assert stored["scores"] == pytest.approx(place_scores(places[known], fit.predicted))
    null = permutation_null(z[known], places[known], sections, n_permutations=100, rng=3)
    np.testing.assert_allclose(stored["null"], null.null)
    assert (stored["p_value"], stored["params"]["null"]) == (null.p_value, "cells")
    by_section = stored["groups"]
    assert by_section["n_cells"].to_dict() == dict.fromkeys("pqrs", 50)
    assert by_section.loc["q", "median_distance"] == pytest.approx(
        np.median(error[sections == "q"])
    )
    mean = places[known][sections != "q"].mean(0)
    distance = np.linalg.norm(places[known][sections == "q"] - mean, axis=1)
    assert by_section.loc["q", "mean_place"] == pytest.approx(np.median(distance))


def test_cells_without_a_place_get_one_and_change_nothing(adata):
    tl.map_to_space(adata, groups_key="section", n_permutations=100)
    for key in ("place_measured", "place_held_out"):
        assert np.isnan(adata.obsm[key][200:]).all()
        assert np.isfinite(adata.obsm[key][:200]).all()
    assert adata.obs["place_group"][200:].isna().all()
    assert np.isfinite(adata.obsm["X_place"]).all()
    assert np.isfinite(adata.obsm["place_sd"]).all()
    alone = adata[:200].copy()
    tl.map_to_space(alone, groups_key="section", n_permutations=100)
    np.testing.assert_allclose(alone.obsm["X_place"], adata.obsm["X_place"][:200])


def test_blocks_of_the_tissue_are_left_out_without_a_groups_key(adata):
    tl.map_to_space(adata, n_permutations=100)
    groups = adata.obs["place_group"]
    assert groups.nunique() == 10
    centers = adata.obsm["spatial"][:200]
    spread = pd.DataFrame(centers).groupby(groups[:200].to_numpy(), observed=True).var().mean()
    assert (spread < 0.5 * centers.var(0)).all()
    assert adata.uns["place"]["params"]["groups_key"] == "blocks"
    assert adata.uns["place"]["params"]["null"] == "groups"


def test_a_table_of_organs(adata, table):
    adata.obs.loc[adata.obs_names[:10], "organ"] = np.nan
    rng = np.random.default_rng(2)
    lies = table.reindex(adata.obs["organ"].astype(object)).to_numpy()
    adata.obsm["X_rmve"][:, :2] = np.nan_to_num(lies) + 0.1 * rng.normal(size=(240, 2))
    more = pd.concat([table, pd.DataFrame({"side": [9], "height": [9]}, index=["elsewhere"])])
    tl.map_to_space(adata, more, obs_key="organ", n_permutations=200)
    known = adata.obs["organ"].notna().to_numpy()
    np.testing.assert_allclose(adata.obsm["place_measured"][known], lies[known])
    assert np.isnan(adata.obsm["place_measured"][:10]).all()
    assert adata.obs["place_group"][known].astype(str).eq(adata.obs["organ"][known]).all()
    stored = adata.uns["place"]
    assert list(stored["coordinates"]) == ["side", "height"]
    assert stored["params"]["coords"] == "table"
    assert stored["scores"]["r2"] > 0.8
    assert stored["p_value"] < 0.01
    named = table.rename_axis("organ")
    again = tl.map_to_space(adata, named, n_permutations=100, copy=True)
    np.testing.assert_allclose(again.obsm["X_place"], adata.obsm["X_place"])


def test_warns_where_places_mean_nothing(adata, table):
    with pytest.warns(UserWarning, match=r"better than shuffled places, found p = .* for 6 groups"):
        tl.map_to_space(adata, table, obs_key="organ", n_permutations=50)


def test_is_written_and_read_and_applied_to_new_cells(adata, tmp_path):
    tl.map_to_space(adata, groups_key="section", n_permutations=100)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    reference = ad.read_h5ad(tmp_path / "cells.h5ad")
    new = adata[200:].copy()
    for key in WRITTEN["obsm"]:
        del new.obsm[key]
    before = keys(new)
    copy = tl.apply_space_map(new, reference, copy=True)
    assert keys(new) == before
    assert set(copy.obsm) - set(new.obsm) == {"X_place", "place_sd"}
    np.testing.assert_allclose(copy.obsm["X_place"], adata.obsm["X_place"][200:])
    np.testing.assert_allclose(copy.obs["place_sd"], adata.obs["place_sd"][200:])
    new.obsm["X_other"] = new.obsm["X_rmve"]
    tl.apply_space_map(new, reference, use_rep="X_other")
    np.testing.assert_allclose(new.obsm["X_place"], copy.obsm["X_place"])


def test_key_added_names_everything(adata):
    tl.map_to_space(adata, groups_key="section", n_permutations=100, key_added="cortex")
    for slot, names in WRITTEN.items():
        assert {name.replace("place", "cortex") for name in names} <= keys(adata)[slot]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"use_rep": "X_pca"}, KeyError, "'X_pca' in adata.obsm, found .*tl.rmve"),
        ({"coords": "xy"}, KeyError, "places in adata.obsm\\['xy'\\]"),
        ({"groups_key": "donor"}, KeyError, "'donor' in adata.obs, found 'section'"),
        ({"obs_key": "organ"}, ValueError, "with a table of places only"),
        ({"key_added": "rmve"}, ValueError, "another name than the latent"),
        ({"null": "places"}, ValueError, "'auto', 'groups' or 'cells'"),
    ],
)
def test_refuses_options(adata, options, error, message):
    before = keys(adata)
    with pytest.raises(error, match=message):
        tl.map_to_space(adata, **{"n_permutations": 5} | options)
    assert keys(adata) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.drop(index="C"), ValueError, "found none for 'C'; add them, or set 'organ'"),
        (lambda t: pd.concat([t, t.loc[["B"]]]), ValueError, "found 'B' twice"),
        (lambda t: t.assign(side=np.nan), ValueError, "finite numbers in the table"),
        (lambda t: t.assign(side="left"), ValueError, "finite numbers in the table"),
        (lambda t: t[[]], ValueError, "finite numbers in the table"),
    ],
)
def test_refuses_tables(adata, table, change, error, message):
    with pytest.raises(error, match=message):
        tl.map_to_space(adata, change(table), obs_key="organ")


def test_refuses_a_table_about_nothing(adata, table):
    with pytest.raises(ValueError, match="index without a name; pass obs_key"):
        tl.map_to_space(adata, table)
    with pytest.raises(KeyError, match="the column 'tissue' in"):
        tl.map_to_space(adata, table, obs_key="tissue")


def broken(adata, what):
    if what == "latent":
        adata.obsm["X_rmve"][3, 0] = np.nan
    elif what == "infinite":
        adata.obsm["spatial"][3, 0] = np.inf
    elif what == "nowhere":
        adata.obsm["spatial"][:] = np.nan
    elif what == "one":
        adata.obs["section"] = "p"
    elif what == "group":
        adata.obs.loc["cell3", "section"] = np.nan
    return adata


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("latent", "NaN or infinity in 1 cells, the first 'cell3'"),
        ("infinite", "use NaN for cells without a place"),
        ("nowhere", "at least two different places"),
        ("one", "at least 3 groups of cells with a place, found 1"),
        ("group", "found 1 without; fill them in"),
    ],
)
def test_refuses_data(adata, what, message):
    with pytest.raises(ValueError, match=message):
        tl.map_to_space(broken(adata, what), groups_key="section")


def test_a_map_must_be_there_and_fit(adata):
    new = adata.copy()
    with pytest.raises(KeyError, match=r"map in reference.uns\['place'\], found none"):
        tl.apply_space_map(new, adata)
    tl.map_to_space(adata, n_permutations=100)
    new.obsm["X_rmve"] = new.obsm["X_rmve"][:, :2]
    with pytest.raises(ValueError, match="cells × 4 dimensions"):
        tl.apply_space_map(new, adata)
    assert "X_place" not in new.obsm
