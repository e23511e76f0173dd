"""What is due by itself: looks, rehearsals, and forgetting what is too old.

A worker calls `schedule`, one at a time.
What a job of each kind does is in `web.operations`.
"""
