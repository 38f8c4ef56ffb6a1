// Filters the list of problem codes while typing; without this script the form does the same on the server.

const field = document.getElementById("q");
const status = document.getElementById("found");
const rows = [...document.querySelectorAll(".codes > div")].map((row) => [row, row.textContent.toLowerCase()]);
const sections = [...document.querySelectorAll("section[data-stage]")];

if (field.value === "") { // the page has every code
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [row, text] of rows) row.hidden = !words.every((word) => text.includes(word));
    for (const section of sections) section.hidden = !section.querySelector(".codes > div:not([hidden])");
    const found = rows.filter(([row]) => !row.hidden).length;
    status.textContent = words.length ? `${found} / ${rows.length}` : "";
  });
}
