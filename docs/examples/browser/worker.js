// Decodes photographs and runs the model, so that the page stays responsive meanwhile.

const RUNTIME = "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
const MODEL = "topiq_nr-lite.onnx";
const MIN_SIDE = 32;
const MAX_PIXELS = 50e6;
// Canvases have a limit of their own, 16 million pixels on some phones: a photograph passes through one by bands.
const BAND = 256;

async function load() {
  const ort = await import(RUNTIME).catch(() => {
    throw new Error("onnxruntime-web is missing. Run “npm install” in the folder of this page.");
  });
  // More threads would need the server to send headers for cross-origin isolation.
  ort.env.wasm.numThreads = 1;
  const response = await fetch(MODEL);
  if (!response.ok) {
    throw new Error(`The model is missing. Run “topiq export topiq_nr-lite ${MODEL}” in the folder of this page.`);
  }
  const file = new Uint8Array(await response.arrayBuffer());
  const metadata = metadataOf(file);
  if (!metadata.score_range) throw new Error(`${MODEL} is not a model that “topiq export” wrote.`);
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] }).catch((error) => {
    throw new Error(`${MODEL} cannot be used: ${error.message ?? error}`);
  });
  return { ort, session, metadata };
}

/** The metadata in an ONNX file, which the runtime doesn't tell: entries of a key and a value, in field 14. */
function metadataOf(file) {
  const text = (bytes) => new TextDecoder().decode(bytes);
  const entries = [...fieldsOf(file)].filter(([number]) => number === 14);
  return Object.fromEntries(entries.map(([, entry]) => [...fieldsOf(entry)].map(([, bytes]) => text(bytes))));
}

/** The numbers and bytes of those fields of a protocol buffer that are texts, bytes or messages. */
function* fieldsOf(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (!(byte & 128)) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const kind = key % 8;
    if (kind === 0) varint();
    else if (kind === 2) {
      const length = varint();
      yield [Math.floor(key / 8), bytes.subarray(at, at + length)];
      at += length;
    } else at += kind === 1 ? 8 : 4;
  }
}

/** A photograph upright, in sRGB and on white: red, green and blue planes of values in [0, 1]. */
async function decode(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Error("This browser cannot read it as an image.");
  });
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    throw new Error(`It is too large: ${pixels(width, height)}, but at most ${MAX_PIXELS / 1e6} million pixels fit.`);
  }
  const area = width * height;
  const planes = new Float32Array(3 * area);
  const canvas = new OffscreenCanvas(width, Math.min(BAND, height));
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.fillStyle = "white";
  for (let top = 0; top < height; top += BAND) {
    context.fillRect(0, 0, width, BAND);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, Math.min(BAND, height - top));
    for (let from = 0, to = top * width; from < data.length; from += 4, to++) {
      planes[to] = data[from] / 255;
      planes[to + area] = data[from + 1] / 255;
      planes[to + 2 * area] = data[from + 2] / 255;
    }
  }
  bitmap.close();
  return { planes, width, height };
}

/** Width and height at which the model scores a photograph: it follows its size rule by itself. */
function sizeUnder(rule, width, height) {
  const [kind, text] = rule.split("=");
  const side = Number(text);
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const bounded = { max_side: long, max_short_side: short }[kind];
  if (kind === "native" || bounded <= side) return [width, height];
  if (kind === "square") return [side, side];
  let sides = [side, (side * long) / short];
  if (kind === "max_side") {
    // Pictures longer than 2:1 keep a shorter side of half.
    const least = Math.min(short, Math.floor(side / 2));
    sides = least * long > side * short ? [least, (least * long) / short] : [(side * short) / long, side];
  }
  const [less, more] = sides.map(Math.floor);
  return width < height ? [less, more] : [more, less];
}

/** A size in words that stay on one line. */
function pixels(width, height) {
  return `${width}\u00a0×\u00a0${height}\u00a0px`;
}

async function score(file, { ort, session, metadata }) {
  const started = performance.now();
  const { planes, width, height } = await decode(file);
  const scored = sizeUnder(metadata.size, width, height);
  if (Math.min(width, height, ...scored) < MIN_SIDE) {
    const under = scored[0] === width ? "" : `, which the model scores at ${pixels(...scored)}`;
    throw new Error(`It is too small: ${pixels(width, height)}${under}. The model needs ${MIN_SIDE} px a side.`);
  }
  const image = new ort.Tensor("float32", planes, [1, 3, height, width]);
  const outputs = await session.run({ image }).catch((error) => {
    throw new Error(`The model failed at ${pixels(width, height)}: ${error.message ?? error}`);
  });
  // The model's way to refuse an image.
  if (Number.isNaN(outputs.score.data[0])) throw new Error("The model gives it no score.");
  return {
    score: outputs.score.data[0],
    size: pixels(width, height),
    scoredAt: pixels(...scored),
    seconds: (performance.now() - started) / 1000,
  };
}

const loading = load();
loading.then(
  ({ metadata }) => postMessage({ metadata }),
  (error) => postMessage({ error: error.message }),
);

// One photograph at a time: the model cannot run twice at once.
let last = loading.catch(() => {});
onmessage = ({ data: { id, file } }) => {
  last = last.then(async () => {
    const answer = await loading.then((model) => score(file, model)).catch((error) => ({ error: error.message }));
    postMessage({ id, ...answer });
  });
};
