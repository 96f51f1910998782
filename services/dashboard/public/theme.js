// Runs before the first paint, so that a light page never flashes in a dark room.
(function () {
  var choice = null;
  try {
    choice = localStorage.getItem("heimdallr.theme");
  } catch {
    // Storage may be forbidden; the default serves.
  }
  var light = choice === "light" || (choice === "system" && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = light ? "light" : "dark";
})();
