"""The only room that knows Ultralytics.

Importing it silences Ultralytics: no telemetry, no integrations that call home. The
settings file in the user's home is not touched; only this process is.
"""

from pathlib import Path

import ultralytics.utils
from ultralytics.utils import SETTINGS
from ultralytics.utils.events import events

# Integrations that would send a training's curves or a model to somebody's server.
_CALL_HOME = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "wandb")


def _silence() -> None:
    """Switch off everything that opens a connection, also if Ultralytics was here first."""
    for name in _CALL_HOME:
        if name in SETTINGS:
            # Its own __setitem__ would write the settings file in the user's home.
            dict.__setitem__(SETTINGS, name, False)  # noqa: FBT003
    events.enabled = False
    ultralytics.utils.ONLINE = False


_silence()


def sample_photographs() -> list[Path]:
    """The photographs that Ultralytics ships inside its package."""
    return sorted(ultralytics.utils.ASSETS.glob("*.jpg"))
