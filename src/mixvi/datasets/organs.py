"""Where organs are in a standing body."""

import pandas as pd

# cm from the midline (to the viewer's right) and from the ground, in a body of 170 cm seen from
# the front; of a pair, the one on the viewer's left
_ORGANS = {
    "brain": (0, 162),
    "eye": (-3.2, 158),
    "tongue": (0, 151),
    "salivary gland": (-5, 150),
    "trachea": (0, 141),
    "thymus": (0, 133),
    "lung": (-8.5, 127),
    "heart": (3, 125),
    "mammary gland": (-10, 121),
    "liver": (-6, 114),
    "stomach": (5.5, 113),
    "spleen": (11.5, 112),
    "pancreas": (1.5, 108),
    "kidney": (-6.5, 105),
    "small intestine": (0, 97),
    "large intestine": (9.5, 99),
    "bone marrow": (12.5, 92),
    "ovary": (-5, 89),
    "uterus": (0, 86),
    "bladder": (0, 82),
    "prostate": (0, 80),
    "testis": (-1.8, 76),
    "muscle": (-10, 62),
    "skin": (29, 92),
}


def organ_places() -> pd.DataFrame:
    """Places of organs on the silhouette that :func:`mixvi.pl.body_map` draws.

    A body of 170 cm, seen from the front. Centers read off by eye, good to a few centimeters; of
    pairs (eye, lung, kidney, ovary, …) the one on the viewer's left. Bone marrow stands for the
    iliac crest, muscle for the thigh, skin for the forearm. What is everywhere, like blood, fat
    and lymph nodes, is not in it: no map can say where such a cell was.

    Returns
    -------
    pandas.DataFrame
        Organs × ``x`` (cm from the midline, positive to the viewer's right) and ``y`` (cm from
        the ground); the index is called ``organ``. Rename rows, move and add some as you need.
    """
    table = pd.DataFrame.from_dict(_ORGANS, orient="index", columns=["x", "y"], dtype=float)
    return table.rename_axis("organ")
