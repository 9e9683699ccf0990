// Runs before the page is drawn, so that it does not flash in the other colours.
(() => {
  const chosen = (() => {
    try {
      return localStorage.getItem("shoal-theme");
    } catch {
      return null;
    }
  })();
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
