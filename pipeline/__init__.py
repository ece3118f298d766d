"""Uncover finds the face that is hidden, and says how it knows.

However the package is entered, this file runs first: it tells Ultralytics, before anybody
can import it, that it is offline and installs nothing. Nothing leaves the machine.
"""

import os

os.environ["YOLO_OFFLINE"] = "true"  # no telemetry, no update checks, no reachability probes
os.environ["YOLO_AUTOINSTALL"] = "false"  # no pip behind the user's back

_PUBLIC = {
    "TwoStage": "pipeline.two_stage",
    "NeonatalDetector": "pipeline.neonatal.detector",
    "Detections": "pipeline.detections",
}


def __getattr__(name: str) -> object:
    """What Python users import from here; brought when it is asked for, because it is heavy."""
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(name)
