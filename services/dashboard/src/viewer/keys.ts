// Keys of the viewer.

/** What a key asks for. */
export type Action =
  | { readonly kind: "preset"; readonly index: number }
  | { readonly kind: "slice"; readonly delta: number }
  | { readonly kind: "slice_end"; readonly end: "first" | "last" }
  | { readonly kind: "move"; readonly right: number; readonly front: number }
  | { readonly kind: "label"; readonly delta: 1 | -1 }
  | { readonly kind: "toggle_labels" }
  | { readonly kind: "opacity"; readonly delta: number }
  | { readonly kind: "layout" };

/** A key press, as much of it as is looked at. */
export interface Press {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

const PAGE = 10;
const OPACITY_STEP = 0.1;

const ACTIONS = new Map<string, Action>(Object.entries({
  ArrowUp: { kind: "slice", delta: 1 },
  ArrowDown: { kind: "slice", delta: -1 },
  PageUp: { kind: "slice", delta: PAGE },
  PageDown: { kind: "slice", delta: -PAGE },
  Home: { kind: "slice_end", end: "first" },
  End: { kind: "slice_end", end: "last" },
  ArrowLeft: { kind: "move", right: -1, front: 0 },
  ArrowRight: { kind: "move", right: 1, front: 0 },
  "[": { kind: "label", delta: -1 },
  "]": { kind: "label", delta: 1 },
  h: { kind: "toggle_labels" },
  m: { kind: "layout" },
  "-": { kind: "opacity", delta: -OPACITY_STEP },
  "+": { kind: "opacity", delta: OPACITY_STEP },
  "=": { kind: "opacity", delta: OPACITY_STEP },
} satisfies Record<string, Action>));

const SHIFTED = new Map<string, Action>(Object.entries({
  ArrowUp: { kind: "move", right: 0, front: 1 },
  ArrowDown: { kind: "move", right: 0, front: -1 },
} satisfies Record<string, Action>));

/** The action of a key press; undefined when the viewer has none for it. */
export function actionOf(press: Press): Action | undefined {
  if (press.ctrlKey || press.metaKey || press.altKey) return undefined;
  if (/^[1-9]$/.test(press.key)) return { kind: "preset", index: Number(press.key) - 1 };
  const shifted = press.shiftKey ? SHIFTED.get(press.key) : undefined;
  return shifted ?? ACTIONS.get(press.key.length === 1 ? press.key.toLowerCase() : press.key);
}
