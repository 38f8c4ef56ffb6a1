// Optional on every page: times in the reader's time zone, and a countdown.

const language = document.documentElement.lang;
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "always" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function until(date) {
  const seconds = (date - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= 2 * size) ?? UNITS.at(-1);
  return relative.format(Math.trunc(seconds / size), unit);
}

function localise(root) {
  for (const element of root.querySelectorAll("time[data-moment]:not([title])")) {
    const date = new Date(element.dateTime);
    element.title = element.textContent.trim(); // in the contest's time zone
    const show = () => {
      const soon = "countdown" in element.dataset && Math.abs(date - Date.now()) < 60 * 86400e3;
      element.textContent = moment.format(date) + (soon ? ` (${until(date)})` : "");
    };
    show();
    if ("countdown" in element.dataset) setInterval(show, 1000);
  }
}

// "2 days ago" where the page gives the date alone
function age(root) {
  for (const element of root.querySelectorAll("time[data-age]:not([title])")) {
    const date = new Date(element.dateTime);
    element.title = moment.format(date);
    element.textContent = until(date);
  }
}

localise(document);
age(document);
document.addEventListener("htmx:after:swap", () => { localise(document); age(document); });
