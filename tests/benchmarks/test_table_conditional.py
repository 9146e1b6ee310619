from benchmarks.table_conditional import conditional_page


def test_conditional_page_has_one_line_per_prior():
    scores = {"ari": 1.0, "w_logistic": 0.9, "w_svm": 0.8, "z_logistic": 0.5, "seconds": 3.0}
    rows = [
        {"style_prior": prior, "seed": seed, **scores}
        for prior in ("learned", "standard")
        for seed in (0, 1)
    ]
    lines = {line.split(" | ")[0]: line for line in conditional_page(rows).splitlines()}
    assert "1.000 (1.000)" in lines["| `learned`"]
    assert "0.900 (0.900)" in lines["| `standard`"]
