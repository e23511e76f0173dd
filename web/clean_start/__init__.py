"""The guided clean start, from the messy history to the migration task of its own: it comes with the next version.

It will hold the run and its steps; what a step does is a job kind of `web.operations` that is useful alone.
Nothing else belongs here.
"""
