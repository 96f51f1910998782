import { describe, expect, it } from "vitest";

import { actionOf } from "./keys";

function press(key: string, held: Partial<Record<"shiftKey" | "ctrlKey" | "metaKey" | "altKey", boolean>> = {}) {
  return { key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...held };
}

describe("keys of the viewer", () => {
  it.each(["1", "5", "9"])("chooses a window by %s", (key) => {
    expect(actionOf(press(key))).toEqual({ kind: "preset", index: Number(key) - 1 });
  });

  it("steps through slices and labels", () => {
    expect(actionOf(press("ArrowUp"))).toEqual({ kind: "slice", delta: 1 });
    expect(actionOf(press("PageDown"))).toEqual({ kind: "slice", delta: -10 });
    expect(actionOf(press("]"))).toEqual({ kind: "label", delta: 1 });
    expect(actionOf(press("["))).toEqual({ kind: "label", delta: -1 });
  });

  it("hides the labels by h, with or without capitals", () => {
    expect(actionOf(press("h"))).toEqual({ kind: "toggle_labels" });
    expect(actionOf(press("H", { shiftKey: true }))).toEqual({ kind: "toggle_labels" });
  });

  it("moves the crosshair in the plane by shift and arrow", () => {
    expect(actionOf(press("ArrowUp", { shiftKey: true }))).toEqual({ kind: "move", right: 0, front: 1 });
  });

  it("leaves the browser's own shortcuts alone", () => {
    expect(actionOf(press("1", { ctrlKey: true }))).toBeUndefined();
    expect(actionOf(press("ArrowLeft", { altKey: true }))).toBeUndefined();
    expect(actionOf(press("0"))).toBeUndefined();
    expect(actionOf(press("toString"))).toBeUndefined();
  });
});
