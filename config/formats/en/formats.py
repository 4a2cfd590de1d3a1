"""Times in the admin: whoever looks for a cause needs the seconds (setting FORMAT_MODULE_PATH)."""

from __future__ import annotations

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "j M Y, H:i:s"
SHORT_DATETIME_FORMAT = "Y-m-d H:i:s"
