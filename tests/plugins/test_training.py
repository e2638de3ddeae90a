"""pyiqa's own training, of our network."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

STEPS = 3


@pytest.fixture
def loader(pyiqa, save_picture, tmp_path):
    from pyiqa.data import build_dataset

    names = [f"{index}.png" for index in range(4)]
    for index, name in enumerate(names):
        save_picture(tmp_path / "images" / name, 72, 64, seed=index)
    with (tmp_path / "meta.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("img_name", "mos"), *((name, index / 4) for index, name in enumerate(names))])
    dataset = build_dataset(
        {
            "name": "four",
            "type": "GeneralNRDataset",
            "phase": "train",
            "dataroot_target": str(tmp_path / "images"),
            "meta_info_file": str(tmp_path / "meta.csv"),
            "augment": {"random_crop": 64},
        }
    )
    return DataLoader(dataset, batch_size=2)


@pytest.fixture
def model(pyiqa, options, tmp_path):
    from pyiqa.models import build_model

    torch.manual_seed(0)
    return build_model(
        {
            "model_type": "GeneralIQAModel",
            "is_train": True,
            "num_gpu": 0,
            "dist": False,
            "rank": 0,
            "path": {"models": str(tmp_path), "training_states": str(tmp_path)},
            "network": options("topiq_nr", inter_dim=32, test_img_size=32),
            "train": {
                "optim": {"type": "AdamW", "lr": 1e-3, "weight_decay": 1e-5, "lr_semantic_model": 1e-4},
                "scheduler": {"type": "CosineAnnealingLR", "T_max": STEPS},
                "mos_loss_opt": {"type": "MSELoss", "loss_weight": 1.0, "reduction": "mean"},
                "metric_loss_opt": {"type": "NiNLoss", "loss_weight": 1.0},
            },
            "val": {"metrics": {"srcc": {"type": "calculate_srcc"}}, "key_metric": "srcc"},
        }
    )


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_training(pyiqa, model, loader, tmp_path):
    net = model.net
    assert type(net).__name__ == "CFANetAdapter"
    before = {key: value.clone() for key, value in net.state_dict().items()}
    sizes = []
    net.net.backbone.conv1.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-2:]))

    for step in range(1, STEPS + 1):
        model.feed_data(next(iter(loader)))
        model.optimize_parameters(step)
        model.update_learning_rate(step)
    assert set(sizes) == {(64, 64)}
    assert torch.isfinite(model.output_score).all()
    after = net.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    frozen = {key for key in before if ".bn" in key or ".downsample.1." in key}
    unused = {key for key in before if key.startswith("attn_blks.") and ".self_attn." in key}
    # What dropout and a dead ReLU keep from moving in three steps is little.
    assert changed <= before.keys() - frozen - unused
    assert "semantic_model.conv1.weight" in changed
    assert "score_linear.6.weight" in changed
    assert len(changed) > 0.9 * len(before.keys() - frozen - unused)

    groups = model.optimizer.param_groups
    assert groups[0]["initial_lr"] == 1e-4
    backbone = [parameter for parameter in net.net.backbone.parameters() if parameter.requires_grad]
    assert {id(parameter) for parameter in groups[0]["params"]} == {id(parameter) for parameter in backbone}

    validation = DataLoader(loader.dataset, batch_size=1)
    validation.dataset.opt["name"] = "four"
    model.nondist_validation(validation, STEPS, None, save_img=False)
    assert net.training
    assert sizes[-1] == (32, 32)
    model.save(0, STEPS)
    saved = torch.load(tmp_path / f"net_{STEPS}.pth", weights_only=True)["params"]
    theirs = pyiqa.archs.topiq_arch.CFANet(use_ref=False, pretrained=False, backbone_pretrain=False, inter_dim=32)
    theirs.load_state_dict(saved, strict=True)
    assert (tmp_path / "net_best.pth").exists()


def test_dropout_acts_in_training_only(pyiqa, options):
    net = pyiqa.create_metric("topiq_nr", device="cpu", **options("topiq_nr", inter_dim=32, dprate=0.5)).net
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net(images), net(images))
        net.train()
        assert not torch.equal(net(images), net(images))


def test_gradients_in_training_are_pyiqas(pyiqa):
    options = {"use_ref": False, "pretrained": False, "backbone_pretrain": False, "inter_dim": 32, "dprate": 0.0}
    torch.manual_seed(0)
    theirs = pyiqa.archs.topiq_arch.CFANet(**options)
    ours = pyiqa.utils.registry.ARCH_REGISTRY.get("CFANet")(**options)
    ours.load_state_dict(theirs.state_dict())
    # pyiqa's network lets its BatchNorm learn in the first step after `train()`; ours never does.
    theirs.train()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    images = torch.rand(2, 3, 64, 64)
    for net in (theirs, ours.train()):
        net.double()(images.double()).square().sum().backward()
    trained = {name for name, p in theirs.named_parameters() if p.grad is not None}
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    assert {name for name, gradient in gradients.items() if gradient is not None} == trained
    for name, parameter in theirs.named_parameters():
        if name in trained:
            assert (gradients[name] - parameter.grad).norm() <= 1e-6 * parameter.grad.norm() + 1e-12, name
