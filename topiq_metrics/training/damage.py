"""What damage costs a photograph of its opinion score, foretold by a full-reference metric.

`topiq_fr-lite` knows how much people mind each kind of damage, beside the photograph as it was. A photograph that was
rated, and is damaged on purpose, is therefore a rated one again. That weighs kinds of damage against each other, for a
network without a reference, which ranks within one kind cannot.

The judge shrinks large photographs, so that fine damage of crops above 384 px is foretold a little too mild
(``docs/model-card-fr.md``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topiq_metrics.catalog import get_card
from topiq_metrics.images import SizePolicy
from topiq_metrics.models.folding import fold
from topiq_metrics.weights import load_network

JUDGE = "topiq_fr-lite"
INVISIBLE = 0.9
"""Score of the judge from which on damage is not seen: KADID-10k's observers call it imperceptible at 4.6 of 5."""
WORST = 0.1
"""Score of a photograph damaged beyond recognition, where 0 is the worst on the whole scale of ratings and 1 the best.

Photographs that are worse keep theirs.
"""


class DamageJudge(nn.Module):
    """Foretells opinion scores of damaged photographs from those of the photographs.

    Args:
        low: the score that is 0 on a scale from 0 to 1.
        span: how far it is from there to the best.
    """

    def __init__(self, low: float, span: float) -> None:
        super().__init__()
        self.net = fold(load_network(JUDGE))
        self.size = SizePolicy.parse(get_card(JUDGE).size)
        self.worst = low + WORST * span

    @torch.no_grad()
    def forward(self, damaged: Tensor, photographs: Tensor, scores: Tensor) -> Tensor:
        """Scores ``(N,)`` of damaged photographs ``(N, 3, H, W)``, from the photographs and their ``scores``."""
        # Its scores are those that the metric gives, also where the network is trained in mixed precision.
        with torch.autocast(damaged.device.type, enabled=False):
            similarity: Tensor = self.net(self.size.apply(damaged), self.size.apply(photographs))
        kept = (similarity / INVISIBLE).clamp(0, 1)
        return scores - (1 - kept) * (scores - self.worst).clamp(min=0)
