"""The engine around Procrastinate: start, attempt, progress, feed, cancel, reconcile, the worker.

It knows no kind and no project tool; every write carries its attempt's fence.
Kinds are in `web.operations`, what is shown before a start in `web.starting`.
"""
