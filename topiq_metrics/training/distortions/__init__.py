"""Damage of known kind and severity, to teach and to test that a score falls with it.

The kinds are those of KADID-10k (Lin, Hosu, Saupe, QoMEX 2019), with some of TID2013's, newer codecs and upscaling. An
image is RGB ``(3, H, W)`` in [0, 1], on the CPU; so is what comes back. Severity runs from 0 (mild) to 1 (ruined).
"""

from __future__ import annotations

from topiq_metrics.training.distortions.bank import DISTORTIONS, LEVELS, PLAIN, VISIBLE, distort

__all__ = ["DISTORTIONS", "LEVELS", "PLAIN", "VISIBLE", "distort"]
