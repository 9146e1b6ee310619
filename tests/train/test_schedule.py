import math

import pytest

from mixvi.train import Schedule, default_batch_size, default_epochs


def test_epochs_shrink_with_cells_and_visits_grow():
    sizes = [500, 2_000, 4_000, 20_000, 100_000, 1_000_000]
    epochs = [default_epochs(n, 128) for n in sizes]
    visits = [n * e for n, e in zip(sizes, epochs, strict=True)]
    assert epochs == sorted(epochs, reverse=True)
    assert visits == sorted(visits)
    assert visits[-1] <= 3_000_000


def test_small_data_get_enough_steps():
    for n_obs, batch_size in [(100, 128), (700, 128), (5_000, 1024)]:
        steps = default_epochs(n_obs, batch_size) * math.ceil(n_obs / batch_size)
        assert steps >= 1_000


def test_large_mini_batches_leave_enough_steps():
    cells = [2, 4_000, 40_000, 42_000, 163_000, 165_000, 1_000_000, 10**8]
    sizes = [default_batch_size(n) for n in cells]
    assert sizes == [128, 128, 128, 256, 256, 512, 512, 512]
    for n, size in list(zip(cells, sizes, strict=True))[3:]:
        assert default_epochs(n, size) * math.ceil(n / size) >= 2_000


def test_weight_is_a_ramp_over_a_share_of_the_run():
    schedule = Schedule.from_fractions(50, pretrain=0.6, overcluster=0.2, warmup=0.3)
    assert (schedule.pretrain_epochs, schedule.joint_from) == (30, 40)
    weights = [schedule.kl_weight(step, 10) for step in range(500)]
    assert weights[0] == 0
    assert weights[75] == pytest.approx(0.5)
    assert all(w == 1 for w in weights[150:])


def test_no_warmup_is_full_weight_at_once():
    assert Schedule.from_fractions(5, 0, 0, 0).kl_weight(0, 10) == 1


def test_joint_training_always_gets_an_epoch():
    assert Schedule.from_fractions(1, 0.99, 0, 0).joint_from == 0
    assert Schedule.from_fractions(2, 0.99, 0, 0).joint_from == 1
    assert Schedule.from_fractions(2, 0.5, 0.49, 0).joint_from == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.5, 0, 0.5), "max_epochs of at least 1, found 0"),
        ((5, 1.0, 0, 0.5), "pretrain_fraction"),
        ((5, 0.5, -0.1, 0.5), "overcluster_fraction"),
        ((5, 0.5, 0.6, 0.5), "left to train jointly"),
        ((5, 0.5, 0, 1.5), "warmup_fraction"),
    ],
)
def test_shares_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Schedule.from_fractions(*arguments)
