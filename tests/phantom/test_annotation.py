import numpy as np

from pipelines.phantom.annotation import find_room, lead_marker, text_block


def test_marker_fits_its_height_and_holds_its_letters() -> None:
    for side in "LR":
        plate = lead_marker(side, "MLO", 60)
        assert plate.shape[0] == 60
        assert plate[0].all()
        assert plate[-1].all()
        assert 0.05 < (plate[6:-6, 6:-6] > 0.5).mean() < 0.5
    assert not np.array_equal(lead_marker("L", "CC", 60), lead_marker("R", "CC", 60))


def test_longer_text_takes_more_room() -> None:
    short, long = text_block(["ID 1"], 14), text_block(["ID 1", "QUATTROCCHI, LUDOVICA"], 14)
    assert long.shape[0] == 2 * short.shape[0]
    assert long.shape[1] > 3 * short.shape[1]
    assert short.max() > 0.9


def test_room_is_found_beside_what_is_taken() -> None:
    taken = np.zeros((100, 80), bool)
    taken[60:, 40:] = True
    assert find_room(taken, (20, 30), ("bottom right", "top right"), 5) == (5, 45, 25, 75)
    assert find_room(taken, (20, 30), ("bottom right",), 5) is None
    assert find_room(np.ones((100, 80), bool), (20, 30), ("top left", "bottom left"), 5) is None
    assert find_room(taken, (200, 30), ("top left",), 5) is None
