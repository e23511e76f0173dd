"""What each page's template needs, as frozen values: one module per page, no logic beyond trivial properties."""
