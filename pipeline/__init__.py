"""Uncover finds the face that is hidden, and says how it knows.

However the package is entered, this file runs first: it tells Ultralytics, before anybody
can import it, that it is offline and installs nothing. Nothing leaves the machine.
"""

import os

os.environ["YOLO_OFFLINE"] = "true"  # no telemetry, no update checks, no reachability probes
os.environ["YOLO_AUTOINSTALL"] = "false"  # no pip behind the user's back
