"""The ONNX file in onnxruntime-web, WebAssembly as in a browser, run by Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from topiq_metrics.images import SizePolicy
from topiq_metrics.inference.export import export_metric
from topiq_metrics.weights import shared_network

pytest.importorskip("onnxruntime", reason="needs pip install 'topiq-metrics[onnx]'")
pytest.importorskip("onnx", reason="needs pip install 'topiq-metrics[onnx]'")

PACKAGE = Path(__file__).parents[3] / "docs" / "examples" / "browser" / "package.json"
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ETIMEDOUT", "ENOTCACHED")
SIZE = "max_side=64"
SCRIPT = """
import * as ort from "onnxruntime-web/wasm";
import { readFileSync } from "node:fs";
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync("lite.onnx")));
const scores = [];
for (const { shape, file } of JSON.parse(readFileSync("inputs.json", "utf8"))) {
  const values = new Float32Array(new Uint8Array(readFileSync(file)).buffer);
  const { score } = await session.run({ image: new ort.Tensor("float32", values, shape) });
  scores.push(Array.from(score.data, (value) => (Number.isNaN(value) ? null : value)));
}
console.log(JSON.stringify(scores));
"""


@pytest.fixture(scope="module")
def run_web(tmp_path_factory):
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node.js here")
    folder = tmp_path_factory.mktemp("web")
    shutil.copy(PACKAGE, folder)
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if result.returncode and any(word in result.stderr for word in OFFLINE):
        pytest.skip("npm cannot reach its registry")
    assert result.returncode == 0, result.stderr
    export_metric("topiq_nr-lite", folder / "lite.onnx", size=SIZE)
    (folder / "score.mjs").write_text(SCRIPT)

    def run(*batches):
        inputs = []
        for index, images in enumerate(batches):
            (folder / f"{index}.bin").write_bytes(images.numpy().tobytes())
            inputs.append({"shape": list(images.shape), "file": f"{index}.bin"})
        (folder / "inputs.json").write_text(json.dumps(inputs))
        done = subprocess.run([node, "score.mjs"], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def pictures(*shape):
    generator = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.rand(shape[0], 3, 4, 5, generator=generator), size=shape[1:], mode="bilinear")
    return (smooth + 0.1 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def test_scores_are_those_of_torch_and_wrong_images_have_none(run_web):
    right = [pictures(1, 641, 480), pictures(2, 63, 47), pictures(1, 32, 32)]
    spoiled = pictures(3, 70, 80)
    spoiled[1, 0, 0, 0], spoiled[2, 0, 0, 0] = 1.01, torch.nan
    wrong = [255 * right[1], 2 * right[1] - 1, pictures(1, 16, 16), pictures(1, 24, 600)]
    found = run_web(*right, spoiled, *wrong)
    net, policy = shared_network("topiq_nr-lite"), SizePolicy.parse(SIZE)
    for images, scores in zip(right, found, strict=False):
        with torch.inference_mode():
            assert scores == pytest.approx(net(policy.apply(images)).tolist(), abs=1e-5)
    assert [score is None for score in found[3]] == [False, True, True]
    assert [score for scores in found[4:] for score in scores] == [None] * 6
