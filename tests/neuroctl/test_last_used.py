"""What was used last stays, up to the limit."""

from neuroctl.last_used import LastUsed


def test_the_values_used_last_are_kept_up_to_the_limit() -> None:
    made: list[str] = []

    def make(key: str, size: int) -> bytes:
        made.append(key)
        return bytes(size)

    kept = LastUsed[str, bytes](10, len)
    for key, size in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4)):
        assert len(kept.get(key, lambda key=key, size=size: make(key, size))) == size  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]  # b was used before a, and went for c


def test_one_value_is_kept_whatever_its_size() -> None:
    kept = LastUsed[int, bytes](1, len)
    kept.put(0, bytes(100))
    assert len(kept.get(0, bytes)) == 100
    kept.put(1, bytes(50))
    assert len(kept.get(0, bytes)) == 0
