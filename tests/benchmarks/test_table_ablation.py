from benchmarks.table_ablation import ablation_page


def row(setting, dataset, seed, ari, separation=2.0):
    return {
        **{"setting": setting, "set": dataset, "seed": seed, "k": 5},
        **{"ari": ari, "n_used": 4, "separation": separation},
    }


def test_settings_are_lines_and_models_are_tables():
    rows = [
        row(setting, dataset, seed, ari)
        for setting in ("RMVE repulsion=mmd repulsion_strength=1", "RMVE repulsion=None")
        for dataset in ("worm_neuron", "pbmc3k")
        for seed, ari in enumerate((0.5, 0.7))
    ]
    rows += [row("CGMDVAE dirichlet=None", "pbmc3k", 0, 0.4, None)]
    rows += [row("RMVE batch_size=512 lr=0.004", "pbmc3k", 0, 0.3)]
    text = ablation_page(rows)
    cgmdvae, rmve, steps = text.split("## ")[1:]
    assert steps.startswith("RMVE, steps\n")
    assert steps.splitlines()[2].startswith("| setting | seeds | ARI pbmc3k | ARI, mean of sets |")
    assert steps.splitlines()[4].startswith("| `batch_size=512 lr=0.004` | 1 | 0.300 (0.300) |")
    lines = rmve.splitlines()[4:]
    assert lines[0].startswith("| `repulsion=None` | 2 | 0.600 (0.500) | 0.600 (0.500) | 0.600 |")
    assert lines[1].startswith("| `repulsion=mmd repulsion_strength=1` | 2 |")
    assert rmve.splitlines()[2].startswith("| setting | seeds | ARI pbmc3k | ARI worm |")
    # one component is no pair
    assert cgmdvae.splitlines()[4] == ("| `dirichlet=None` | 1 | 0.400 (0.400) | 0.400 | 4.0 | – |")
