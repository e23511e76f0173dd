"""Performance as ratios: `python -m bench [NAME …]`. Contenders run in one batch; nothing passes or fails."""
