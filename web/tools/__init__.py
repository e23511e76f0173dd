"""Migration tools behind one small protocol: read a history, read what is applied, upgrade, stamp, replay."""
