"""Adapters that other toolboxes load; importing one imports its toolbox only when it is asked to register."""
