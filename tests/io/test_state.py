"""The text that names what does not fit between a state dict and a model."""

from tensorlite.io import describe_mismatch


def test_a_fit_says_nothing():
    assert describe_mismatch([], [], []) == ""


def test_only_what_is_wrong_is_named():
    assert describe_mismatch([], ["b", "a"], []) == (
        "unexpected, the state dict has it and the model does not:\n  b\n  a")


def test_every_key_is_named():
    text = describe_mismatch((f"layer.{i}" for i in range(100)), ["extra"], [("w", (2, 3), ())])
    assert all(f"  layer.{i}\n" in text for i in range(100))
    assert text.endswith("misshapen:\n  w: the model has [2, 3], the state dict has []")
