// Takes photographs, hands them to the worker and shows what it answers.

const at = (id) => document.getElementById(id);
const worker = new Worker("worker.js", { type: "module" });
let model = null;
let current = { id: 0 };

function choose(file) {
  if (!file) return;
  current = { id: current.id + 1, file };
  at("result").hidden = true;
  at("error").textContent = "";
  tell(model ? `Scoring ${file.name}…` : "Loading the model…");
  worker.postMessage({ id: current.id, file });
}

function tell(message, seen = true) {
  at("status").textContent = message;
  at("status").classList.toggle("unseen", !seen);
}

function fail(message) {
  tell("", false);
  at("error").textContent = message;
}

worker.onerror = () => fail("This browser cannot run the page's script in a worker. A newer one can.");
worker.onmessage = ({ data }) => {
  if (data.metadata) {
    model = data.metadata;
    tell(current.file ? `Scoring ${current.file.name}…` : "Ready.");
  } else if (data.id === undefined) fail(data.error);
  else if (data.id === current.id) {
    if (data.error) fail(model ? `${current.file.name}: ${data.error}` : data.error);
    else show(current.file, data);
  }
};

function show(file, { score, size, scoredAt, seconds }) {
  const [lowest, highest] = JSON.parse(model.score_range);
  const better = model.higher_is_better === "true" ? "higher" : "lower";
  URL.revokeObjectURL(at("preview").src);
  at("preview").src = URL.createObjectURL(file);
  at("result-title").textContent = file.name;
  at("score").value = score;
  at("score").textContent = score.toFixed(3);
  at("scale").textContent = `from ${lowest} to ${highest}; ${better} is better`;
  at("lowest").textContent = lowest;
  at("highest").textContent = highest;
  const share = (score - lowest) / (highest - lowest);
  at("bar").style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  const facts = {
    Model: model.metric,
    Photograph: size,
    "Scored at": scoredAt,
    Time: `${seconds.toFixed(2)} s`,
  };
  const rows = Object.entries(facts).flatMap(([term, text]) => [element("dt", term), element("dd", text)]);
  at("facts").replaceChildren(...rows);
  at("result").hidden = false;
  tell(`${file.name} scores ${score.toFixed(3)}, ${at("scale").textContent}.`, false);
}

function element(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}

at("file").addEventListener("change", ({ target }) => {
  choose(target.files[0]);
  // The same file can then be chosen again.
  target.value = "";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragged", name === "dragover");
    if (name === "drop") choose(event.dataTransfer.files[0]);
  });
}
