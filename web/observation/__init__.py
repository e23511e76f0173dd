"""Looking at a target, and what is stored of it: observations, facts, first-seen digests, timeline, witnesses.

A look only reads; what it finds is kept with its age, and so is why there is none.
What follows from it is in `web.answers`; comparing schemas in `web.comparison`.
"""
