// The little that the pages cannot do without a script: say when news stop coming, copy a line, keys, theme.
// Everything else works without this file. No state of the fleet lives here.
// @ts-check

const STALE_AFTER_S = 5;
const root = document.documentElement;

/** @param {string} id */
const byId = (id) => document.getElementById(id);

// --- theme: the system's, unless the person chose -----------------------------------------------------------------
function savedTheme() {
  try { return localStorage.getItem("theme") || ""; } catch { return ""; }
}
/** @param {string} theme "" | light | dark */
function setTheme(theme) {
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  try { localStorage.setItem("theme", theme); } catch { /* private mode: the choice lasts for this page */ }
}
setTheme(savedTheme());

// --- feed: live, or how long without news ---------------------------------------------------------------------------
const mark = byId("feed-state");
const note = byId("stale-note");
let last = performance.now();
let beaten = false;

function showFeed() {
  if (!mark || !note) return;
  const silent = (performance.now() - last) / 1000;
  const stale = silent > STALE_AFTER_S;
  const state = stale ? "stale" : beaten ? "live" : "connecting";
  const seconds = Math.floor(silent);
  const text = stale ? `✕ no news for ${seconds} s` : beaten ? "● live" : "○ connecting";
  if (mark.textContent !== text) mark.textContent = text;
  if (mark.dataset.state === state) return;
  mark.dataset.state = state;
  document.body.classList.toggle("is-stale", stale);
  note.hidden = !stale;
}
if (mark) {
  document.addEventListener("beat", () => { last = performance.now(); beaten = true; showFeed(); });
  setInterval(showFeed, 500);
  showFeed();
}

// --- tabs: where they do not all fit, the current one is in sight ---------------------------------------------------
for (const current of document.querySelectorAll(".tabs [aria-current]")) {
  const tabs = /** @type {HTMLElement} */ (current.parentElement);
  const [mine, all] = [current.getBoundingClientRect(), tabs.getBoundingClientRect()];
  tabs.scrollLeft += mine.left + mine.width / 2 - all.left - all.width / 2;
}

// --- copy, theme switch ---------------------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target.closest("[data-copy],[data-theme-switch]") : null;
  if (!(target instanceof HTMLElement)) return;
  if (target.dataset.copy) {
    const text = byId(target.dataset.copy)?.textContent?.trim() || "";
    navigator.clipboard?.writeText(text).then(
      () => { target.textContent = "✓ Copied"; },
      () => { getSelection()?.selectAllChildren(/** @type {Node} */ (byId(target.dataset.copy || ""))); },
    );
  } else {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    setTheme(dark ? "light" : "dark");
  }
});

// --- keys: / filter, g o|e|v|r go to, Shift+B focuses BRAKE, Shift+F FREEZE (never presses it) --------------------------------------
const GO = /** @type {Record<string, string>} */ ({ o: "/", e: "/endpoints", v: "/vulnerabilities", r: "/rollouts" });
let pendingG = 0;
document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (at instanceof HTMLElement && at.matches("input,textarea,select")) return;
  if (event.key === "/") {
    const field = /** @type {HTMLElement | null} */ (document.querySelector("[data-filter]") || byId("nav-find"));
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "B") {
    byId("brake")?.focus();
  } else if (event.key === "F") {
    byId("freeze")?.focus();
  } else if (event.key === "g") {
    pendingG = performance.now();
  } else if (performance.now() - pendingG < 1200 && GO[event.key]) {
    location.assign(GO[event.key]);
  }
});
