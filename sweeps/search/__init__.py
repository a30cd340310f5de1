"""Searches: sweeps whose points depend on the results of earlier ones. What is here is data and loads nothing heavy."""
