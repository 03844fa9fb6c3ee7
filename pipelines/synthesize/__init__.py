"""Synthetic pictures to quota: sampling, screening, DICOM, contact sheet, and the augmented set."""
