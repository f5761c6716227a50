"""Engines: one protocol, and an adapter for each way of running a model."""
