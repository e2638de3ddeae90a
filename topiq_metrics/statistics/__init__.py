"""Statistics of agreement with human opinion, on columns of numbers: numpy, and scipy where it is asked for."""
