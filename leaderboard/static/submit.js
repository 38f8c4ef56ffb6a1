// The submit form, with the size checked before the first byte and progress while the rest follows.
// Without this script the form is sent by the browser and answers the same.

function attach(form) {
  const facts = document.getElementById("file-facts");
  const box = document.getElementById("upload");
  const bar = box.querySelector("progress");
  const words = document.getElementById("upload-text");
  const button = form.querySelector("button.button");
  const input = form.elements.archive;
  const limit = Number(form.dataset.limit);

  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB"];
    let unit = 0;
    while (bytes >= 999.5 && unit < 3) { bytes /= 1000; unit += 1; }
    return `${bytes.toFixed(unit && bytes < 99.5 ? 1 : 0)} ${units[unit]}`;
  };

  input.addEventListener("change", () => {
    const file = input.files[0];
    const wrong = file && (file.size > limit ? form.dataset.tooLarge : file.size ? "" : form.dataset.empty);
    facts.textContent = file ? `${file.name} · ${size(file.size)}${wrong ? ` – ${wrong}` : ""}` : "";
    facts.classList.toggle("bad", Boolean(wrong));
    button.disabled = Boolean(wrong);
  });

  form.addEventListener("submit", (event) => {
    if (!input.files[0]) return;
    event.preventDefault();
    button.disabled = true;
    box.hidden = false;
    const started = performance.now();
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = loaded / total;
      const seconds = (performance.now() - started) / 1000;
      const left = Math.ceil((seconds * (total - loaded)) / loaded);
      const rest = loaded < total && seconds > 2 ? ` · ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} ${form.dataset.left}` : "";
      words.textContent = loaded < total
        ? `${form.dataset.sending}: ${size(loaded)} / ${size(total)} · ${size(loaded / seconds)}/s${rest}`
        : form.dataset.storing;
    });
    request.addEventListener("load", () => {
      if (request.status < 300) return window.location.assign(request.responseURL);
      const answer = new DOMParser().parseFromString(request.responseText, "text/html");
      const main = answer.querySelector("main");
      if (!main) return fail();
      document.querySelector("main").replaceWith(document.adoptNode(main));
      attach(document.getElementById("submit-form"));
      document.dispatchEvent(new Event("htmx:after:swap")); // site.js: times of the new part
      document.querySelector("[role=alert], .errorlist")?.scrollIntoView({ block: "center" });
    });
    const fail = () => {
      words.textContent = form.dataset.broken;
      button.disabled = false;
    };
    request.addEventListener("error", fail);
    request.open("POST", form.action || window.location.href);
    request.send(new FormData(form));
  });
}

const form = document.getElementById("submit-form");
if (form) attach(form);
