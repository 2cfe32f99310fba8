"""python -m vlm_uec.telemetry.report RUN…: the command of vlm_uec.report under its documented name."""

from __future__ import annotations

import sys

from vlm_uec.report.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
