// The submit form on tus-js-client: uploads resume after a lost connection, a reload or a restart of the site.
// Without this script the browser sends the form whole, with the same result.

import { chosen, dropped, pack } from "./folder.js";

const CHUNK_BYTES = 8 * 1024 * 1024;
const PAUSES_MS = [0, 1000, 2000, 5000, 10000, ...Array(60).fill(20000)]; // restarts after any progress
const SPEED_OVER_MS = 10000;

const units = ["B", "kB", "MB", "GB"];
function size(bytes) {
  let unit = 0;
  while (bytes >= 999.5 && unit < 3) { bytes /= 1000; unit += 1; }
  return `${bytes.toFixed(unit && bytes < 99.5 ? 1 : 0)} ${units[unit]}`;
}

function time(seconds) {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.ceil(seconds) % 60];
  return h ? `${h}:${String(m).padStart(2, "0")} h` : `${m}:${String(s).padStart(2, "0")}`;
}

// Bytes per second of the last ten seconds, so that a pause or a resumed part does not count.
class Speed {
  samples = [];
  add(bytes) {
    const now = performance.now();
    this.samples.push([now, bytes]);
    while (now - this.samples[0][0] > SPEED_OVER_MS) this.samples.shift();
  }
  get perSecond() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return last[0] - first[0] > 500 ? (1000 * (last[1] - first[1])) / (last[0] - first[0]) : 0;
  }
}

function attach(form) {
  const words = form.dataset;
  const facts = document.getElementById("file-facts");
  const box = document.getElementById("upload");
  const bar = box.querySelector("progress");
  const state = document.getElementById("upload-text");
  const refused = document.getElementById("upload-refused");
  const same = document.getElementById("upload-same");
  const buttons = form.querySelectorAll("button:not([type=button])");
  const pause = document.getElementById("pause");
  const drop = document.getElementById("drop");
  const input = form.elements.archive;
  const picker = document.getElementById("folder");
  const folderButton = document.getElementById("choose-folder");
  const csrf = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };

  function enable(yes) { for (const button of buttons) button.disabled = !yes; }

  // The file to send, or a folder packed in the browser.
  let folder = null;
  function source() {
    const file = input.files[0];
    return folder ?? (file && { name: file.name, blob: file, stamp: file.lastModified });
  }

  function look(wrong = "") {
    const found = wrong ? null : source();
    if (found) wrong = found.blob.size > Number(words.limit) ? words.tooLarge : found.blob.size ? "" : words.empty;
    const parts = found ? [found.name, size(found.blob.size)] : [];
    if (folder) parts.push(`${words.packed} ${folder.files}/${folder.files + folder.left}`);
    facts.textContent = [parts.join(" · "), wrong].filter(Boolean).join(" – ");
    facts.classList.toggle("bad", Boolean(wrong));
    input.required = !folder;
    enable(!wrong);
    refused.hidden = true;
  }
  async function take(found) {
    enable(false);
    folder = await pack(found, JSON.parse(words.packing));
    if (folder) input.value = "";
    look(folder ? "" : words.noModel);
  }
  input.addEventListener("change", () => { folder = null; look(); });

  folderButton.hidden = false;
  folderButton.addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => { if (picker.files.length) take(chosen(picker.files)); });

  drop.classList.add("ready");
  drop.querySelector(".drop-hint").hidden = false;
  for (const [kind, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.toggle("over", over); });
  }
  drop.addEventListener("drop", async (event) => {
    if (input.disabled) return;
    const files = event.dataTransfer.files; // both are gone after the first await
    const found = await dropped(event.dataTransfer);
    if (found) take(found);
    else if (files.length) {
      folder = null;
      input.files = files;
      look();
    }
  });

  // `url`: where the upload is kept; a duplicate entry can be graded again from there.
  function refuse({ code, message, hint, submission }, url) {
    refused.querySelector("h2").textContent = message;
    refused.querySelector(".hint").textContent = hint;
    refused.querySelector("code").textContent = code;
    refused.querySelector("a").hash = code;
    same.hidden = !(submission && url);
    if (!same.hidden) {
      const link = same.querySelector("a");
      link.href = same.dataset.url.replace("0", submission);
      link.textContent = `${same.dataset.show} #${submission}`;
      same.querySelector("button").onclick = () => {
        refused.hidden = true;
        box.hidden = false;
        enable(false);
        input.disabled = folderButton.disabled = true;
        enter(url, true);
      };
    }
    refused.hidden = false;
    box.hidden = pause.hidden = true;
    enable(true);
    input.disabled = folderButton.disabled = false;
    refused.scrollIntoView({ block: "center" });
  }

  // The site's error body, or null if the connection failed.
  function body(text) {
    try {
      const found = JSON.parse(text);
      return found.code ? found : null;
    } catch {
      return null;
    }
  }

  async function enter(url, again = false) {
    state.textContent = words.storing;
    pause.hidden = true;
    for (;;) {
      try {
        const headers = { ...csrf, "Content-Type": "application/json" };
        const answer = await fetch(`${url}/submission${again ? "?again=1" : ""}`, { method: "POST", headers });
        const text = await answer.text();
        if (answer.ok) return window.location.assign(new URL(JSON.parse(text).url).pathname);
        if (body(text)) return refuse(body(text), url);
      } catch { /* no connection: retried below */ }
      state.textContent = words.broken;
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
  }

  async function send({ name, blob, stamp }, onlyCheck) {
    const speed = new Speed();
    const upload = new window.tus.Upload(blob, {
      endpoint: words.endpoint,
      chunkSize: CHUNK_BYTES,
      retryDelays: PAUSES_MS,
      removeFingerprintOnSuccess: true,
      headers: csrf,
      metadata: { contest: words.contest, filename: name, note: form.elements.note.value, ...(onlyCheck && { only_check: "1" }) },
      fingerprint: async () =>
        ["paretoboard", words.person, words.contest, name, blob.size, stamp, onlyCheck ? "check" : ""].join("-"),
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        const again = status === 0 || status === 409 || status === 423 || [500, 502, 503, 504].includes(status);
        if (again) state.textContent = words.broken;
        return again;
      },
      onProgress: (sent, total) => {
        speed.add(sent);
        bar.value = sent / total;
        const rate = speed.perSecond;
        const rest = rate ? ` · ${size(rate)}/s · ${time((total - sent) / rate)} ${words.left}` : "";
        state.textContent = `${words.sending}: ${size(sent)} / ${size(total)}${sent < total ? rest : ""}`;
      },
      onError: (error) => {
        const found = body(error.originalResponse?.getBody() ?? "");
        if (found) return refuse(found);
        state.textContent = words.paused;
        pause.textContent = words.resume;
        pause.dataset.paused = "yes";
      },
      onSuccess: () => enter(new URL(upload.url, window.location).pathname),
    });
    const [previous] = await upload.findPreviousUploads();
    if (previous) {
      previous.uploadUrl = new URL(previous.uploadUrl, window.location).pathname;
      upload.resumeFromPreviousUpload(previous);
      state.textContent = words.resumes;
    }
    pause.onclick = () => {
      const stop = !pause.dataset.paused;
      pause.dataset.paused = stop ? "yes" : "";
      pause.textContent = stop ? words.resume : words.pause;
      if (stop) state.textContent = words.paused;
      if (stop) upload.abort();
      else { speed.samples = []; upload.start(); }
    };
    upload.start();
  }

  form.addEventListener("submit", (event) => {
    const found = source();
    if (!found || !window.tus) return;
    event.preventDefault();
    enable(false);
    input.disabled = folderButton.disabled = true;
    refused.hidden = true;
    box.hidden = pause.hidden = false;
    send(found, event.submitter?.name === "only_check");
  });
}

const form = document.getElementById("submit-form");
if (form) attach(form);
