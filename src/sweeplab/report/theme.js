"use strict";
// Light or dark: as the system has it, until the button says otherwise. Stands first, so that no page flashes.

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => root.dataset.theme === "dark";

function storedTheme() {
  try { return localStorage.getItem("sweeplab-theme"); } catch { return null; } // some browsers keep nothing for files
}

function storeTheme(theme) {
  try { localStorage.setItem("sweeplab-theme", theme); } catch { /* then it is forgotten */ }
}

function setTheme(theme = storedTheme() ?? (system.matches ? "dark" : "light")) {
  root.dataset.theme = theme;
}

setTheme();
