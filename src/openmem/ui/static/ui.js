// What the pages gain from a script. All of them work without.
(() => {
  "use strict";
  const root = document.documentElement;

  // The server shows times in the reader's zone, which only the browser knows.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = `omp_zone=${encodeURIComponent(zone || "")}`;
  const isTold = () => document.cookie.split("; ").includes(told);
  if (zone && !isTold()) {
    document.cookie = `${told}; path=/ui; samesite=strict; max-age=31536000`;
    if (isTold() && root.dataset.zone !== zone && "mayReload" in root.dataset && document.querySelector("time")) {
      location.reload();
    }
  }

  // One box that ticks all boxes of a list.
  const connect = (scope) => {
    for (const all of scope.querySelectorAll("[data-all]")) {
      if (!all.hidden || all.dataset.connected) continue;
      all.dataset.connected = "true";
      all.hidden = false;
      const box = all.querySelector("input");
      box.addEventListener("change", () => {
        for (const one of box.form.querySelectorAll(`input[name="${all.dataset.all}"]`)) one.checked = box.checked;
      });
    }
  };
  connect(document);
  document.addEventListener("htmx:after:swap", () => connect(document));
})();
