"""Rewrites of a loaded network for inference with frozen weights, in place: one module for what each rewrites."""
