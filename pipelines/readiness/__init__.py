"""Where the data stand: the criteria of each level, the figures that they measure, and the certificate."""
