// Packs a dropped or chosen model folder as one tar without reading the weights: a Blob of headers and the files themselves, of
// which the browser reads only the chunk being sent. The same folder gives the same bytes, so uploads can resume.

const BLOCK = 512;
const MAX_OCTAL_BYTES = 8 ** 11; // the limit of ustar's size field
const MAX_NAME_BYTES = 100;
const encoder = new TextEncoder();

// {name, files} of what was dropped: one folder, or the files of one picked together; null for anything else.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 1 && entries[0].isDirectory) {
    return { name: entries[0].name, files: await filesIn(entries[0].createReader()) };
  }
  return entries.length > 1 ? { name: "model", files: await filesOf(entries) } : null;
}

// The same of <input webkitdirectory>, which lists files of subfolders, too.
export function chosen(list) {
  const direct = [...list].filter((file) => file.webkitRelativePath.split("/").length === 2);
  return { name: list[0]?.webkitRelativePath.split("/")[0] ?? "", files: direct };
}

async function filesIn(reader) {
  const entries = [];
  for (;;) { // returns at most 100 entries per call
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return filesOf(entries);
    entries.push(...some);
  }
}

function filesOf(entries) {
  const files = entries.filter((entry) => entry.isFile);
  return Promise.all(files.map((entry) => new Promise((resolve, reject) => entry.file(resolve, reject))));
}

// {name, blob, stamp, files, left} of a folder, or null if it holds no model. `stamp` changes when a file does.
// `rule`: the server's PACKING: names of config and index, a pattern of weights. The index decides if there is one.
export async function pack({ name, files }, rule) {
  const index = files.find((file) => file.name === rule.index);
  const indexed = index && await weightsIn(index);
  const pattern = new RegExp(`^(?:${rule.weights})$`);
  const isWeights = (each) => (indexed ? indexed.has(each) : pattern.test(each));
  const isWanted = (each) => each === rule.config || each === rule.index || isWeights(each);
  const wanted = files.filter((file) => isWanted(file.name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const names = wanted.map((file) => file.name);
  if (!names.includes(rule.config) || !names.some(isWeights)) return null;
  const parts = wanted.flatMap((file) => [...header(file.name, file.size), file, padding(file.size)]);
  return {
    name: `${name || "model"}.tar`,
    blob: new Blob([...parts, new Uint8Array(2 * BLOCK)]),
    stamp: wanted.map((file) => [file.name, file.size, file.lastModified].join(":")).join("|"),
    files: wanted.length,
    left: files.length - wanted.length,
  };
}

// Names of the weights that an index lists; null if it cannot be read, which the site will say of it.
async function weightsIn(index) {
  try {
    return new Set(Object.values(JSON.parse(await index.text()).weight_map));
  } catch {
    return null;
  }
}

function padding(bytes) {
  return new Uint8Array((BLOCK - (bytes % BLOCK)) % BLOCK);
}

// POSIX pax: what ustar cannot say (long names, 8 GiB and more) stands in records before the header.
function header(name, bytes) {
  const path = encoder.encode(name);
  const records = [];
  if (path.length > MAX_NAME_BYTES) records.push(record("path", name));
  if (bytes >= MAX_OCTAL_BYTES) records.push(record("size", String(bytes)));
  const own = ustar(path.slice(0, MAX_NAME_BYTES), bytes < MAX_OCTAL_BYTES ? bytes : 0, "0");
  if (!records.length) return [own];
  const extension = encoder.encode(records.join(""));
  return [ustar(encoder.encode("pax"), extension.length, "x"), extension, padding(extension.length), own];
}

// "LENGTH key=value\n", where LENGTH counts itself.
function record(key, value) {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function ustar(path, bytes, type) {
  const block = new Uint8Array(BLOCK);
  const put = (at, text) => block.set(typeof text === "string" ? encoder.encode(text) : text, at);
  const octal = (at, digits, value) => put(at, `${value.toString(8).padStart(digits, "0")}\0`);
  put(0, path);
  octal(100, 7, 0o644);
  octal(108, 7, 0); // no owner, group or time, so that the same files give the same tar
  octal(116, 7, 0);
  octal(124, 11, bytes);
  octal(136, 11, 0);
  put(148, "        ");
  put(156, type);
  put(257, "ustar\x0000");
  put(148, `${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
  return block;
}
