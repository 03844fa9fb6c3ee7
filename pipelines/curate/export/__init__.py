"""The level A set as a folder that may leave the hospital: pictures, tables, metadata, card, dictionary, manifest."""
