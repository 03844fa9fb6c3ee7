"""D→C: what is done to a hospital's objects and texts before they may leave it. The parts are named in ``delivery``."""
