"""Training: recipes, data, losses, the LightningModule. Needs the extra ``[train]``."""
