"""What is known of a delivery before its first object is cleaned."""

from pipelines.deidentify.residual import terms_of_path
from pipelines.deidentify.survey import named_location


def test_a_member_is_named_by_all_archives_around_it() -> None:
    rows = {
        "F-1": {"location": "inbox:Oberrauch/night%201.zip", "container": None, "member": None},
        "F-2": {"location": "unpacked:F-2", "container": "F-1", "member": "sub/K%C3%B6nig.tar"},
        "F-3": {"location": "unpacked:F-3", "container": "F-2", "member": "Quastel.dcm"},
        "F-4": {"location": "unpacked:F-4", "container": "F-1", "member": None},
    }
    place = named_location(rows["F-3"], rows)
    assert place == "inbox:Oberrauch/night%201.zip/sub/K%C3%B6nig.tar/Quastel.dcm"
    assert terms_of_path(place).soft.keys() == {"Oberrauch", "König", "Quastel"}
    assert named_location(rows["F-1"], rows) == "inbox:Oberrauch/night%201.zip"
    assert named_location(rows["F-4"], rows) == "inbox:Oberrauch/night%201.zip/"
