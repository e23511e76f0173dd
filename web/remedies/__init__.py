"""Ways out of what was found: repairs, adoptions, baselines and merges with their change sets, rules, settled doubts.

Each is proven or answered for by somebody before it counts.
Running a repair on a target is `web.operations.revert`; finding the differences `web.comparison`.
"""
