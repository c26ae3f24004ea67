// Tips follow the pointer or the finger; without this script the browser's own tips show the same text.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  for (const title of document.querySelectorAll("svg .point > title")) {
    const point = title.parentNode;
    point.dataset.tip = title.textContent;
    point.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const show = (event) => {
    const point = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = !point;
    if (!point) return;
    tip.textContent = point.dataset.tip;
    const width = tip.offsetWidth;
    const left = Math.max(8, Math.min(event.clientX - width / 2, innerWidth - width - 8));
    const above = event.clientY - tip.offsetHeight - 14;
    tip.style.left = left + "px";
    tip.style.top = (above > 4 ? above : event.clientY + 18) + "px";
  };
  addEventListener("pointermove", show);
  addEventListener("pointerdown", show);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();
