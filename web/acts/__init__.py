"""What job kinds do on a target or in a source, and share: emptying, a script, upgrading, opening a backup, looking.

Each takes a running job (`web.jobs.work.Work`) and writes its intents.
A kind itself is in `web.operations`; what leads back from drift in `web.remedies`.
"""
