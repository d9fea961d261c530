import pytest

from sweeplab.records.layout import moved


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s/1", "new"),
        ("s/1/checkpoints/best.ckpt", "new/checkpoints/best.ckpt"),
        ("s/12", "s/12"),
        ("s/12/best.ckpt", "s/12/best.ckpt"),
        ("s/1.old/best.ckpt", "s/1.old/best.ckpt"),
        ("runs/1", "runs/1"),
        ("of/s/1", "of/s/1"),
        ("folder: s/1/samples\nroot: s\n", "folder: new/samples\nroot: s\n"),
        ("resume s/1, not s/12, but 's/1' and \"s/1/a\"", "resume s/1, not s/12, but 'new' and \"new/a\""),
        ("s/1 s/1", "new new"),
        ("", ""),
    ],
)
def test_a_path_in_the_folder_follows_it_and_no_other_does(text: str, expected: str) -> None:
    assert moved(text, "s/1", "new") == expected


def test_what_holds_paths_is_looked_through() -> None:
    state = {"s/1/best.ckpt": [0.5, ("s/1", "s/12")], "epoch": 3, "path": None, "on": True}
    assert moved(state, "s/1", "t") == {"t/best.ckpt": [0.5, ("t", "s/12")], "epoch": 3, "path": None, "on": True}
    assert state["path"] is None
    assert "s/1/best.ckpt" in state


def test_folders_with_signs_of_regular_expressions_are_taken_literally() -> None:
    assert moved("/a/lr=0.1+(2)/x", "/a/lr=0.1+(2)", r"/b\1") == r"/b\1/x"
    assert moved("/a/lr=0x1/x", "/a/lr=0.1", "/b") == "/a/lr=0x1/x"
