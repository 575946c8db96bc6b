// What the page does besides htmx: forms that call the JSON API, messages, dragging, keys, times and the chart.
"use strict";

const mount = document.body.dataset.mount;
const message = document.getElementById("message");

function tell(text) {
  message.textContent = text;
}

// What somebody does in a panel is sent from the panel itself, which stays when its content is replaced meanwhile.
function act(panel, address, values) {
  tell("");
  htmx.ajax("POST", address, { source: panel, target: panel, values });
}

document.addEventListener("change", (event) => {
  const card = event.target.closest(".card");
  if (card) act("#board", document.getElementById("board").dataset.moves, { task: card.dataset.task, status: event.target.value });
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.decides) {
    event.preventDefault();
    act("#approvals", form.dataset.decides, { decision: event.submitter.value, reason: form.elements.reason.value });
  }
  if (!form.dataset.json) return;
  event.preventDefault();
  const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  try {
    const answer = await fetch(form.dataset.json, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(fields),
    });
    if (answer.ok) {
      location.assign(`${mount}/`);
      return;
    }
    const said = await answer.json().catch(() => ({}));
    tell([said.error || `The server answered ${answer.status}.`, ...(said.details || [])].join(" "));
  } catch {
    tell("The server does not answer. Try again.");
  }
});

document.addEventListener("htmx:responseError", (event) => {
  tell(event.detail.xhr.responseText || `The server answered ${event.detail.xhr.status}.`);
  if (event.detail.requestConfig.verb === "post") htmx.trigger(event.detail.elt, "refresh");
});
document.addEventListener("htmx:sendError", () => tell("The server does not answer."));

// The state of the event stream. The server names every panel when it opens, so that a gap is made up for.
function connection(state) {
  const shown = document.getElementById("connection");
  if (shown) {
    shown.dataset.state = state;
    shown.textContent = state;
  }
}
document.addEventListener("htmx:sseOpen", () => connection("live"));
document.addEventListener("htmx:sseError", () => connection("connecting"));

// A panel is replaced while somebody works in it: the focus stays on the same element.
let focused = null;
document.addEventListener("htmx:beforeSwap", () => {
  const active = document.activeElement;
  const holder = active && active.closest("[id^='task-'], [id^='approval-']");
  focused = holder ? { id: holder.id, name: active === holder ? null : active.name, value: active.value } : null;
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (focused) {
    const holder = document.getElementById(focused.id);
    const element = holder && (focused.name ? holder.querySelector(`[name="${focused.name}"]`) : holder);
    if (element) element.focus({ preventScroll: true });
    if (element instanceof HTMLInputElement) element.value = focused.value;
  }
  dress(event.target);
});

function dress(part) {
  for (const time of part.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    time.title = at.toLocaleString();
  }
  for (const figure of part.querySelectorAll("[data-chart]")) draw(figure);
}

function draw(figure) {
  const { hours, tokens, cost } = JSON.parse(figure.dataset.chart);
  const style = getComputedStyle(figure); // a canvas needs plain colours
  const axis = { stroke: style.caretColor, font: "11px system-ui", grid: { show: false }, ticks: { show: false }, size: 36 };
  figure.replaceChildren();
  const plot = new uPlot(
    {
      width: figure.clientWidth || 300,
      height: 120,
      legend: { show: false },
      cursor: { show: false },
      scales: { cost: { range: (_, least, most) => [0, most || 1] }, y: { range: (_, least, most) => [0, most || 1] } },
      axes: [{ ...axis, values: (_, marks) => marks.map((mark) => new Date(mark * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })) }, { ...axis, values: (_, marks) => marks.map((mark) => Intl.NumberFormat([], { notation: "compact" }).format(mark)) }],
      series: [
        {},
        { stroke: style.color, width: 2, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7] }), fill: style.color },
        { stroke: style.outlineColor, width: 2, points: { show: false }, scale: "cost" },
      ],
    },
    [hours, tokens, cost],
    figure,
  );
  new ResizeObserver(() => plot.setSize({ width: figure.clientWidth, height: 120 })).observe(figure);
}

// A card is dragged to a column, or moved with the list on it.
let dragged = null;
document.addEventListener("dragstart", (event) => {
  dragged = event.target.closest(".card");
});
document.addEventListener("dragover", (event) => {
  if (dragged && event.target.closest(".column")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const column = event.target.closest(".column");
  if (!dragged || !column) return;
  event.preventDefault();
  const card = document.getElementById(dragged.id); // the panel may have been replaced since the drag began
  dragged = null;
  if (!card || column.contains(card)) return; // a column has several statuses, so within it the card keeps its own
  const list = card.querySelector("select");
  list.value = column.dataset.status;
  list.dispatchEvent(new Event("change", { bubbles: true }));
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const approval = event.target.closest(".approval");
  const button = approval && approval.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (button) button.click();
});
