"""Level D: find every file of a delivery, recognize it by content, hash it, open archives, and account for each."""
