/* The page of an exported generator: it draws samples in the browser with onnxruntime-web.

   model.js sets MODEL: the network, the latents of the first seeds and what they mean. runtime.js sets RUNTIME: the
   WebAssembly of onnxruntime-web and its loader. Both are texts in scripts, so the page also works when it is opened as
   a file, where a browser lets it read nothing. */
"use strict";

const TEXTS = {
  en: {
    title: "A generator of", seed: "seed", label: "label", truncation: "truncation", other: "second seed",
    interpolation: "interpolation", every: "each in turn", loading: "Loading …", time: "Drawn in", language: "中文",
    same: "Seeds below {count} with truncation 1 and interpolation 0 are the first samples of tools/sample.py --seed.",
    here: "Everything is computed in this browser. The page loads nothing from elsewhere and sends nothing.",
    failed: "This browser cannot run the generator:",
  },
  zh: {
    title: "生成器，数据：", seed: "种子", label: "标签", truncation: "截断", other: "第二个种子",
    interpolation: "插值", every: "依次取每一类", loading: "正在加载……", time: "用时", language: "English",
    same: "种子小于 {count}、截断为 1、插值为 0 时，与 tools/sample.py --seed 的前几个样本相同。",
    here: "一切都在这个浏览器里计算。页面不从别处加载任何内容，也不发送任何内容。",
    failed: "这个浏览器无法运行生成器：",
  },
};
const COLUMNS = 4;
const GAP = 1;
const element = (name) => document.getElementById(name);
let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
let session = null;
let savedLatents = null;
let drawing = false;
let drawAgain = false;
let state = ["loading", ""];

/* --- Texts ------------------------------------------------------------------------------------------------------ */

function showTexts() {
  const texts = TEXTS[language];
  document.documentElement.lang = language;
  document.title = `${texts.title} ${MODEL.data}`;
  element("title").textContent = document.title;
  element("language").textContent = texts.language;
  for (const node of document.querySelectorAll("[data-text]")) {
    node.textContent = texts[node.dataset.text].replace("{count}", MODEL.seeds);
  }
  element("label").options[0].textContent = texts.every;
  showStatus(...state);
}

function showStatus(name, detail) {
  state = [name, detail];
  element("status").textContent = `${TEXTS[language][name]} ${detail}`;
}

/* --- Latents ---------------------------------------------------------------------------------------------------- */

/* Numbers in [0, 1) that depend on the seed only: mulberry32, by Tommy Ettinger, public domain. */
function uniform(seed) {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/* The latents of the samples of a seed: those of tools/sample.py for the first seeds, others by Box and Muller. */
function latentsOf(seed) {
  const size = MODEL.samples * MODEL.latentDim;
  if (seed < MODEL.seeds) return savedLatents.subarray(seed * size, (seed + 1) * size);
  const next = uniform(seed);
  return Float32Array.from({ length: size }, () =>
    Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
}

/* From one set of latents to another. A sum of two normal values is normal again when it is divided by this root. */
function interpolated(from, to, t) {
  const scale = Math.hypot(1 - t, t);
  return from.map((value, i) => ((1 - t) * value + t * to[i]) / scale);
}

/* --- Drawing ---------------------------------------------------------------------------------------------------- */

const value = (name) => Number(element(name).value);

async function draw() {
  if (drawing) { drawAgain = true; return; }
  drawing = true;
  do {
    drawAgain = false;
    for (const output of document.querySelectorAll("output")) output.textContent = element(output.htmlFor[0]).value;
    const start = performance.now();
    show((await session.run(feeds())).images.data);
    showStatus("time", `${Math.round(performance.now() - start)} ms`);
  } while (drawAgain);
  drawing = false;
}

function feeds() {
  const latents = interpolated(latentsOf(value("seed")), latentsOf(value("other")), value("interpolation"));
  const found = {
    latents: new ort.Tensor("float32", latents, [MODEL.samples, MODEL.latentDim]),
    truncation: new ort.Tensor("float32", [value("truncation")], [1]),
  };
  if (MODEL.classes.length) {
    const label = value("label");
    const labels = BigInt64Array.from({ length: MODEL.samples }, (_, i) =>
      BigInt(label < 0 ? i % MODEL.classes.length : label));
    found.labels = new ort.Tensor("int64", labels, [MODEL.samples]);
  }
  return found;
}

/* Values [N, C, H, W] as images side by side. */
function show(values) {
  const { channels, height, width, samples } = MODEL;
  const [low, high] = MODEL.valueRange;
  const area = height * width;
  const context = element("images").getContext("2d");
  for (let n = 0; n < samples; n++) {
    const image = context.createImageData(width, height);
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) {
        const at = (n * channels + (channels === 1 ? 0 : c)) * area + i;
        image.data[4 * i + c] = Math.round((values[at] - low) * (255 / (high - low)));  // is clamped to 0 ... 255
      }
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, (n % COLUMNS) * (width + GAP), Math.floor(n / COLUMNS) * (height + GAP));
  }
}

/* --- Start ------------------------------------------------------------------------------------------------------ */

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function start() {
  const canvas = element("images");
  canvas.width = COLUMNS * (MODEL.width + GAP) - GAP;
  canvas.height = Math.ceil(MODEL.samples / COLUMNS) * (MODEL.height + GAP) - GAP;
  element("label").add(new Option("", -1));
  MODEL.classes.forEach((name, i) => element("label").add(new Option(name === `${i}` ? name : `${i} ${name}`, i)));
  element("label-row").hidden = MODEL.classes.length === 0;
  element("language").onclick = () => { language = language === "zh" ? "en" : "zh"; showTexts(); };
  showTexts();
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await unpacked(RUNTIME.wasm);
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([RUNTIME.loader], { type: "text/javascript" })) };
  savedLatents = new Float32Array(await unpacked(MODEL.latents));
  session = await ort.InferenceSession.create(await unpacked(MODEL.network), { executionProviders: ["wasm"] });
  for (const input of document.querySelectorAll("input, select")) input.oninput = draw;
  await draw();
}

start().catch((error) => showStatus("failed", error));
