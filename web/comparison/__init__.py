"""Two schemas side by side: where they come from, how they are made comparable, what differs, what is ignored.

Sources (live, migrations, models, backup, snapshot), replays, scratch copies, stored differences, ignore rules.
The difference itself is in `web.schema`; when an environment is looked at, in `web.observation`.
"""
