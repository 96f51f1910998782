// Which labels of a label map are shown, and in what colours.

/** A value of a label map. */
export interface Label {
  readonly value: number;
  readonly structure: string;
  readonly displayName: string;
  readonly color: string;
}

/** What is shown of the labels: all, none, or one of them. */
export type Shown = "all" | "none" | { readonly only: string };

export type Color = readonly [red: number, green: number, blue: number];

const UNKNOWN_COLOR: Color = [153, 153, 153];

/** Colour of "#rrggbb"; a middle grey for anything else. */
export function colorOf(text: string): Color {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  if (!match) return UNKNOWN_COLOR;
  return [parseInt(match[1]!, 16), parseInt(match[2]!, 16), parseInt(match[3]!, 16)];
}

/** The colour as text that is safe in a style or an attribute. */
export function cssColor(text: string): string {
  return `rgb(${colorOf(text).join(" ")})`;
}

/** Whether a label is shown. */
export function isShown(label: Label, shown: Shown): boolean {
  return shown === "all" || (shown !== "none" && shown.only === label.structure);
}

/** The label after (or before) the one shown, with "all" between last and first. */
export function step(labels: readonly Label[], shown: Shown, delta: 1 | -1): Shown {
  if (labels.length === 0) return shown;
  const places = labels.length + 1;
  const now = typeof shown === "object" ? 1 + indexOf(labels, shown.only) : 0;
  const next = (now + delta + places) % places;
  return next === 0 ? "all" : { only: labels[next - 1]!.structure };
}

/** Hides everything that is shown, or shows what was shown before. */
export function toggle(shown: Shown, before: Shown): Shown {
  if (shown !== "none") return "none";
  return before === "none" ? "all" : before;
}

/** How it is written in the address; empty for all. */
export function toParameter(shown: Shown): string {
  if (shown === "all") return "";
  return shown === "none" ? "none" : `only:${shown.only}`;
}

/** Reads what toParameter wrote; what no label is named for means all. */
export function fromParameter(text: string, labels: readonly Label[]): Shown {
  if (text === "none") return "none";
  const structure = text.startsWith("only:") ? text.slice("only:".length) : "";
  return labels.some((label) => label.structure === structure) ? { only: structure } : "all";
}

/** Columns of a colour table in NiiVue's form, background transparent. */
export interface ColorTable {
  readonly R: number[];
  readonly G: number[];
  readonly B: number[];
  readonly A: number[];
  readonly I: number[];
  readonly labels: string[];
}

/** The colour table of the labels that are shown. */
export function colorTable(labels: readonly Label[], shown: Shown): ColorTable {
  const table: ColorTable = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
  for (const label of labels) {
    const [red, green, blue] = colorOf(label.color);
    table.R.push(red);
    table.G.push(green);
    table.B.push(blue);
    table.A.push(isShown(label, shown) ? 255 : 0);
    table.I.push(label.value);
    table.labels.push(label.structure);
  }
  return table;
}

function indexOf(labels: readonly Label[], structure: string): number {
  return labels.findIndex((label) => label.structure === structure);
}
