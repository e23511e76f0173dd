"""One text for every place where a text from elsewhere is shown."""

from __future__ import annotations

#: What an unescaping template, stream or header would let through.
HOSTILE = "\"'><script>alert(1)</script>&lt;{{7*7}}${7}\u202e\u00e9\U0001f600\r\nX-Evil: 1"
