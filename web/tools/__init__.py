"""Migration tools behind one protocol: histories from files, version rows, runs of project code behind a wall.

A tool is a package of its own here, of which only `registry` is told.
What histories and rows mean for an environment is in `web.answers`.
"""
