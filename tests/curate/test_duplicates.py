import itertools

import networkx
import numpy as np

from pipelines.curate.duplicates import clusters, copies, first_of_each, groups_of_copies

NUMBER = itertools.count()


def image(patient, pixels, image_id=None):
    return {"patient": patient, "pixel_digest": pixels, "image_id": image_id or f"2.25.{next(NUMBER)}"}


def test_copies_are_grouped_in_order_and_unknown_pixels_are_not_copies():
    rows = [image("P-1", "x"), image("P-2", None), image("P-3", "x"), image("P-4", None), image("P-5", "y")]
    assert [[r["patient"] for r in g] for g in copies(rows)] == [["P-1", "P-3"]]


def test_patients_are_joined_through_others():
    rows = [image("P-3", "x"), image("P-2", "x"), image("P-2", "y"), image("P-1", "y"), image("P-9", "z")]
    assert clusters(rows) == {"P-1": "P-1", "P-2": "P-1", "P-3": "P-1", "P-9": "P-9"}


def test_an_image_without_a_patient_joins_nobody_but_is_borne():
    rows = [image(None, "x"), image("P-2", "x"), image("P-1", "x"), image(None, None)]
    assert clusters(rows) == {"P-1": "P-1", "P-2": "P-1"}


def test_clusters_are_connected_components_whatever_the_order():
    random = np.random.default_rng(4)
    rows = [image(f"P-{random.integers(60):02d}", f"x{random.integers(45)}") for _ in range(90)]
    graph = networkx.Graph()
    for row in rows:
        graph.add_edge(row["patient"], row["pixel_digest"])
    expected = {}
    for part in networkx.connected_components(graph):
        patients = [n for n in part if n.startswith("P-")]
        expected |= {p: min(patients) for p in patients}
    assert clusters(rows) == expected
    assert clusters(rows[::-1]) == expected


def test_near_copies_join_their_patients_and_what_those_share():
    rows = [image("P-3", "x", "a"), image("P-2", "y", "b"), image("P-2", "z", "c"), image("P-1", "z", "d")]
    assert clusters(rows, [("a", "b")]) == dict.fromkeys(("P-1", "P-2", "P-3"), "P-1")
    assert [[r["image_id"] for r in g] for g in groups_of_copies(rows, [("a", "b")])] == [["a", "b"], ["c", "d"]]
    assert clusters(rows, [("a", "elsewhere")]) == {"P-1": "P-1", "P-2": "P-1", "P-3": "P-3"}


def test_the_first_of_each_picture():
    rows = [image("P-1", "x", "a"), image("P-1", "y", "a"), image("P-2", "x", "b"), image("P-2", None, "c")]
    assert [r["image_id"] for r in first_of_each(rows)] == ["a", "c"]
