// Elements from values. Everything that comes from outside becomes text or an attribute that cannot run:
// there is no way from a string to markup here.

const SVG = "http://www.w3.org/2000/svg";

function put(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function h(tag, properties, ...children) {
  return put(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return put(document.createElementNS(SVG, tag), properties, children);
}

/** One of the page's symbols; the word for it stands beside it. */
export function icon(name) {
  const picture = svg("svg", { class: `icon icon-${name}`, "aria-hidden": "true", viewBox: "0 0 16 16" });
  picture.append(svg("use", { href: `#i-${name}` }));
  return picture;
}

/** Sets the text only where it differs, so that nothing is announced or laid out for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * Makes the children of `parent` those of `items`, in their order: kept by key, made by `create(item)`,
 * brought up to date by `update(element, item)`. What stays is not moved, so focus and selection stay.
 */
export function keyed(parent, items, key, create, update) {
  const known = parent.knownByKey ?? new Map();
  const next = new Map();
  for (const item of items) {
    const id = key(item);
    if (next.has(id)) continue;
    const element = known.get(id) ?? create(item);
    known.delete(id);
    next.set(id, element);
    update?.(element, item);
  }
  for (const element of known.values()) element.remove();
  let place = parent.firstChild;
  for (const element of next.values()) {
    if (element === place) place = place.nextSibling;
    else if (element.parentNode === parent && parent.moveBefore) parent.moveBefore(element, place);
    else parent.insertBefore(element, place);
  }
  parent.knownByKey = next;
}

/** Replaces what is inside only when `signature` differs from that of the last time. */
export function refill(element, signature, make) {
  if (element.filledWith === signature) return;
  element.filledWith = signature;
  element.replaceChildren(...[make()].flat().filter((child) => child !== null && child !== undefined && child !== false));
}
