import { describe, expect, it } from "vitest";

import { colorOf, colorTable, cssColor, fromParameter, type Label, step, toggle, toParameter } from "./labels";

const LUNGS: Label = { value: 1, structure: "lungs", displayName: "Lungs", color: "#56b4e9" };
const BONE: Label = { value: 3, structure: "bone", displayName: "Bone", color: "#e69f00" };
const LABELS = [LUNGS, BONE];

describe("labels", () => {
  it("steps forward through each label and back to all", () => {
    const first = step(LABELS, "all", 1);
    const second = step(LABELS, first, 1);

    expect([first, second, step(LABELS, second, 1)]).toEqual([{ only: "lungs" }, { only: "bone" }, "all"]);
  });

  it("steps back from all to the last label", () => {
    expect(step(LABELS, "all", -1)).toEqual({ only: "bone" });
  });

  it("steps from hidden to the first label, and nowhere without labels", () => {
    expect(step(LABELS, "none", 1)).toEqual({ only: "lungs" });
    expect(step([], "none", 1)).toBe("none");
  });

  it("hides, and shows again what was shown before", () => {
    expect(toggle({ only: "bone" }, "all")).toBe("none");
    expect(toggle("none", { only: "bone" })).toEqual({ only: "bone" });
    expect(toggle("none", "none")).toBe("all");
  });

  it.each(["", "none", "only:bone"])("reads %j from the address as it was written", (text) => {
    expect(toParameter(fromParameter(text, LABELS))).toBe(text);
  });

  it("shows all for a label that is not there", () => {
    expect(fromParameter("only:<script>", LABELS)).toBe("all");
  });

  it("makes a table with a transparent background and only what is shown opaque", () => {
    const table = colorTable(LABELS, { only: "bone" });

    expect(table.I).toEqual([0, 1, 3]);
    expect(table.A).toEqual([0, 0, 255]);
    expect([table.R[2], table.G[2], table.B[2]]).toEqual([230, 159, 0]);
  });

  it("takes no colour that is not #rrggbb", () => {
    expect(colorOf("red;background:url(x)")).toEqual([153, 153, 153]);
    expect(cssColor("#0072b2")).toBe("rgb(0 114 178)");
  });
});
