// The list of problem codes narrows as one types; without a script the form asks the site for the same.

const field = document.getElementById("q");
const status = document.getElementById("found");
const rows = [...document.querySelectorAll(".codes > div")].map((row) => [row, row.textContent.toLowerCase()]);
const sections = [...document.querySelectorAll("section[data-stage]")];

if (field.value === "") { // the page holds every code
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [row, text] of rows) row.hidden = !words.every((word) => text.includes(word));
    for (const section of sections) section.hidden = !section.querySelector(".codes > div:not([hidden])");
    const found = rows.filter(([row]) => !row.hidden).length;
    status.textContent = words.length ? `${found} / ${rows.length}` : "";
  });
}
