"""The data sets of the clustering benchmark, and what the tables call them."""

# the large ones last: a run that is cut short has the others
SHORT = {
    "zheng_pbmc_facs": "zheng",
    "pbmc3k": "pbmc3k",
    "scdcc_10x_pbmc4k": "pbmc4k",
    "scdcc_mouse_bladder": "bladder",
    "worm_neuron": "worm",
    "kang_ifnb_scgen": "kang",
    "intestine_zonation": "villus",
    "osmfish_cortex": "cortex",
    "pbmc_multistudy": "studies",
    "kang_pbmc_ctrl_8donors": "donors",
}
FIVE = tuple(SHORT)[:5]  # one batch each, cell types as labels, genes measured without a panel


def in_order(names: set[str]) -> list[str]:
    """Known sets in their order, then others by name."""
    return [*(name for name in SHORT if name in names), *sorted(names - set(SHORT))]


def short(name: str) -> str:
    """What tables call a set."""
    return SHORT.get(name, name)
