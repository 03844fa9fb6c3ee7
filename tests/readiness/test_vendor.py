import numpy as np
import pytest

from pipelines.readiness.vendor import vendor_balanced_accuracy
from pipelines.storage.tables import IMAGES, VENDOR_CURVES


def images(groups, per_patient=2):
    rows = []
    for name, histograms in groups.items():
        for n, histogram in enumerate(histograms):
            rows.append(
                {
                    "image_id": f"{name}{n:03d}",
                    "delivery": "D-1",
                    "file_id": f"F{name}{n:03d}",
                    "object_sha256": "0",
                    "status": "kept",
                    "patient": f"P{name}{n // per_patient}",
                    "vendor_group": name,
                    "breast_histogram": histogram,
                }
            )
    return IMAGES.build(rows)


def curves(**shifts):
    return VENDOR_CURVES.build(
        {
            "vendor_group": name,
            "images": 1,
            "training_images": 1,
            "fitted_on": "group",
            "lut": np.clip(np.arange(4096) + shift, 0, 4095).tolist(),
            "version": "v",
        }
        for name, shift in shifts.items()
    )


def test_vendors_far_apart_are_told_and_a_curve_hides_them(histograms):
    table = images({"a": histograms(1500, 60), "b": histograms(2300, 60)})
    before = vendor_balanced_accuracy(table, curves(a=0, b=0))
    after = vendor_balanced_accuracy(table, curves(a=800, b=0))
    assert before.accuracy > 0.95
    assert before.excess_low > 0.3
    assert after.accuracy == pytest.approx(0.5, abs=0.17)
    assert after.excess_low < 0.1
    assert before.chance == 0.5


def test_the_same_answer_every_time(histograms):
    table = images({"a": histograms(1500, 60), "b": histograms(1700, 60)})
    assert vendor_balanced_accuracy(table, curves(a=0, b=0)) == vendor_balanced_accuracy(table, curves(a=0, b=0))


def test_too_little_is_not_measured(histograms):
    curve = curves(a=0, b=0)
    assert vendor_balanced_accuracy(images({}), curve) is None
    assert vendor_balanced_accuracy(images({"a": histograms(1500, 60)}), curve) is None
    assert vendor_balanced_accuracy(images({"a": histograms(1500, 60), "b": histograms(900, 49)}), curve) is None
    few = images({"a": histograms(1500, 60), "b": histograms(900, 60)}, per_patient=20)
    assert vendor_balanced_accuracy(few, curve) is None


def test_groups_without_a_curve_are_left_out(histograms):
    table = images({"a": histograms(1500, 60), "b": histograms(1700, 60)})
    assert vendor_balanced_accuracy(table, curves(a=0)) is None
