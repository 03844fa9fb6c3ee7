"""Where the data stand: the criteria of each level, the figures that they measure, the certificate, and its page."""
