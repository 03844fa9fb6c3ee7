"""The words that tables speak of pictures in: densities, views, splits, and the like."""

DENSITIES = ("A", "B", "C", "D")
"""BI-RADS 5th edition breast composition categories a to d, in order."""

DENSITY_SETS = (*DENSITIES, "AB", "BC", "CD", "ABC", "BCD")
"""What a source can say: a density, or neighboring ones where its own scale is coarser than BI-RADS."""

PIXELS_CAP = 0.6
"""The most that a density is trusted which no reader settled, but a model that looked at the pixels."""

LATERALITIES = ("L", "R")
VIEWS = ("CC", "MLO")
"""The two standard screening views; other views are kept out of level B's pictures with a reason."""

SPLITS = ("train", "validation", "test")

ARMS = ("real", "classical", "mixed", "pretrained", "synthetic")
"""What a classifier is taught by: real pictures; these changed classically; real and synthetic; synthetic, then real;
synthetic alone."""

ORIGINS = ("clinical", "deidentified", "synthetic")
"""What an object says that it is: a patient's as the hospital took it, de-identified before, or of no patient."""
