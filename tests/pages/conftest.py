"""The application on a filled store: `site`."""

from __future__ import annotations

from tests.web.site import filled_folder, filled_template, site

__all__ = ["filled_folder", "filled_template", "site"]
