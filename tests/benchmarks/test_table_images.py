from benchmarks.table_images import images_page


def row(task, seed, train_acc, setting="default"):
    return {
        **{"model": "rmve", "set": "mnist", "task": task, "n_train": 60_000, "setting": setting},
        **{"seed": seed, "train_acc": train_acc, "test_acc": 0.5, "seconds": 10.0 * seed},
    }


def test_tasks_are_tables_and_settings_are_lines():
    rows = [row("unsupervised", seed, acc) for seed, acc in enumerate((0.9, 0.8, 0.7))]
    rows += [row("unsupervised", 0, 0.6, "n_layers=2")]
    text = images_page(rows)
    assert "| `rmve` | mnist | 60,000 | default | 3 | 0.800 (0.700) | 0.500 (0.500) | 10 |" in text
    assert "| n_layers=2 | 1 | 0.600 (0.600) |" in text
    assert "5 %" not in text
    assert "labels of 5 %" in images_page([row("semi", 0, 0.9)])
