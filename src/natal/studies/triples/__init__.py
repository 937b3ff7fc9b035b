"""Chaos in triples: which hierarchical triple stars fall apart, by integration, by formula and by network."""
