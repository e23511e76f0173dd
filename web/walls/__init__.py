"""Walls around programs that are not ours: what they may read, write, connect to, and as whom they run."""
