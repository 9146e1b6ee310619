from benchmarks.sets import FIVE, SHORT, in_order, short


def test_known_sets_come_in_their_order_and_others_after():
    assert in_order({"zzz", "pbmc_multistudy", "aaa", "pbmc3k"}) == [
        *("pbmc3k", "pbmc_multistudy", "aaa", "zzz")
    ]


def test_names_are_short_and_differ():
    assert short("worm_neuron") == "worm"
    assert short("mine") == "mine"
    assert len(set(SHORT.values())) == len(SHORT)


def test_the_five_have_one_batch_each():
    assert not {"kang_ifnb_scgen", "pbmc_multistudy", "kang_pbmc_ctrl_8donors"} & set(FIVE)
    assert len(FIVE) == 5
