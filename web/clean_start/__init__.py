"""The guided clean start: the run, its eight steps with their proofs, and its report.

What a step does is a job kind of `web.operations` that is useful alone; a step is passed by what is stored about its
proof, never by having been started. Nothing here touches a database or a source.
"""
