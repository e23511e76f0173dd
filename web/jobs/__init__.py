"""The engine around Procrastinate: start, run, stream, cancel, reap. It knows no kind and no HTTP."""
