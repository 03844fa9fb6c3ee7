"""Level B to A: duplicates, splits, the balance plan, and the training set that they describe."""
