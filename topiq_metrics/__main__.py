"""``python -m topiq_metrics``: the command ``topiq``."""

from topiq_metrics.cli import main

if __name__ == "__main__":
    main()
