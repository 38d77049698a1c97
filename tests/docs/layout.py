"""Write an image as an OCI layout: ``layout FOLDER SEED``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.peers.images import image, write_layout

if __name__ == "__main__":
    write_layout(image(sys.argv[2]), Path(sys.argv[1]))
