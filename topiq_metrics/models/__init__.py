"""The networks: plain ``nn.Module`` objects that know nothing of files, names or metric state."""
