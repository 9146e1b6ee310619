"""Same-run comparisons of mixvi with other tools; results are kept as JSON beside the code."""
