"""A pretend hospital archive: drawn or real mammograms inside pretend patients' DICOM, to test the ladder with."""
