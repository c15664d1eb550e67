"""Loads the packages that register environments, agents, shifts and presets."""

import warnings
from importlib.metadata import entry_points

GROUP = "neuroctl.plugins"


def load_plugins() -> None:
    """Import every module of the entry-point group `neuroctl.plugins`.

    Such a module registers strings and imports nothing heavy. One that fails is named in a warning and does not
    take the rest down.
    """
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001 - somebody else's package may raise anything
            warnings.warn(
                f"neuroctl plugin {point.name!r} ({point.value}) failed to load: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
