"""Who is it, and what may they do: sign-in, sessions, tokens, roles, audit. `requests` is the web side."""
