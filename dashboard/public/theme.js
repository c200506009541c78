// Runs before the first paint, so that a chosen theme never flashes the other
// one. A file of its own, because the content security policy forbids inline
// scripts. src/state/theme.ts keeps the same key and attribute.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("eider.theme");
  } catch (error) {
    // Storage may be forbidden; the system's theme will do.
  }
  var dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
