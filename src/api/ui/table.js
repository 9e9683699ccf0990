// A table with a caption, columns to sort by, and pages. Rows are kept by key; a cell is written anew only when
// what it shows differs.

import { h, keyed, refill, setAttribute, setText } from "./dom.js";
import { count } from "./format.js";

const PAGE = 100;

/**
 * `columns`: { id, label, value(row): what the cell depends on, as text; cell(row): nodes or text; order(a, b), if
 * rows can be in the order of it; class }. The first column's cells are headers of their rows. Roles are written
 * out, since a narrow page shows rows as blocks and that takes them away.
 */
export class Table {
  #columns;
  #key;
  #order;
  #reversed = false;
  #page = 0;
  #rows = [];
  #body;
  #heads = new Map();
  #pager;
  #empty;
  #onRow;

  constructor({ caption, columns, key, order, rowClass, empty }) {
    this.#columns = columns;
    this.#key = key;
    this.#order = order ?? columns.find((column) => column.order)?.id;
    this.#onRow = rowClass ?? (() => "");
    this.#body = h("tbody", { role: "rowgroup" });
    const head = h("tr", { role: "row" }, columns.map((column) => this.#head(column)));
    this.caption = h("caption", { class: "visually-hidden" }, caption);
    this.#empty = h("p", { class: "empty" }, empty ?? "There are none.");
    this.#pager = this.#makePager(caption);
    this.element = h(
      "div",
      { class: "table-frame" },
      h(
        "table",
        { role: "table" },
        this.caption,
        h("thead", { role: "rowgroup" }, head),
        this.#body,
      ),
      this.#empty,
      this.#pager.element,
    );
  }

  #head(column) {
    const cell = h("th", { role: "columnheader", scope: "col", class: column.class });
    if (column.order) {
      const sort = () => {
        this.#reversed = this.#order === column.id ? !this.#reversed : false;
        this.#order = column.id;
        this.show(this.#rows);
      };
      cell.append(h("button", { type: "button", class: "sort", onclick: sort }, column.label));
    } else {
      cell.append(column.label);
    }
    this.#heads.set(column.id, cell);
    return cell;
  }

  #makePager(caption) {
    const turn = (by) => () => {
      this.#page += by;
      this.show(this.#rows);
      this.element.scrollIntoView({ block: "nearest" });
    };
    const back = h("button", { type: "button", onclick: turn(-1) }, "Previous");
    const on = h("button", { type: "button", onclick: turn(1) }, "Next");
    const place = h("span", {});
    const element = h("nav", { class: "pager", "aria-label": `Pages: ${caption}` }, back, place, on);
    return { element, back, on, place };
  }

  /** Goes back to the first page, as when other rows are wanted. */
  reset() {
    this.#page = 0;
  }

  setEmpty(text) {
    setText(this.#empty, text);
  }

  show(rows) {
    this.#rows = rows;
    const column = this.#columns.find(({ id }) => id === this.#order);
    const turn = this.#reversed ? -1 : 1;
    const sorted = column ? [...rows].sort((a, b) => turn * column.order(a, b)) : rows;
    for (const [id, cell] of this.#heads) {
      setAttribute(cell, "aria-sort", id !== this.#order ? null : this.#reversed ? "descending" : "ascending");
    }
    const pages = Math.max(1, Math.ceil(sorted.length / PAGE));
    this.#page = Math.min(Math.max(0, this.#page), pages - 1);
    const first = this.#page * PAGE;
    const shown = sorted.slice(first, first + PAGE);
    keyed(this.#body, shown, this.#key, () => this.#makeRow(), (element, row) => this.#fill(element, row));
    this.#empty.hidden = rows.length > 0;
    this.#body.parentNode.hidden = rows.length === 0;
    const { element, back, on, place } = this.#pager;
    element.hidden = pages === 1;
    back.disabled = this.#page === 0;
    on.disabled = this.#page === pages - 1;
    setText(place, `${count(first + 1)} to ${count(first + shown.length)} of ${count(sorted.length)}`);
  }

  #makeRow() {
    const row = h("tr", { role: "row" });
    this.#columns.forEach((column, at) => {
      const header = at === 0 ? { scope: "row", role: "rowheader" } : { role: "cell" };
      row.append(h(at === 0 ? "th" : "td", { ...header, class: column.class, "data-label": column.label }));
    });
    return row;
  }

  #fill(element, row) {
    setAttribute(element, "class", this.#onRow(row) || null);
    this.#columns.forEach((column, at) => {
      refill(element.children[at], column.value(row), () => column.cell(row));
    });
  }
}
