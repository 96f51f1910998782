import { describe, expect, it } from "vitest";

import { bounded, CT_PRESETS, fromParameter, presetOf, range, spanning, toParameter } from "./windows";

describe("windows", () => {
  it("has a preset for each number key and no two alike", () => {
    expect(CT_PRESETS).toHaveLength(9);
    expect(new Set(CT_PRESETS.map(toParameter)).size).toBe(9);
  });

  it("spreads soft tissue over -160 to 240", () => {
    expect(range({ level: 40, width: 400 })).toEqual({ low: -160, high: 240 });
  });

  it("spans a range, and a single value one unit wide", () => {
    expect(spanning(-100, 300)).toEqual({ level: 100, width: 400 });
    expect(spanning(7, 7)).toEqual({ level: 7, width: 1 });
  });

  it.each(["lung", "35,90", "-12.5,400"])("reads %s as it was written", (text) => {
    const window = fromParameter(text);

    expect(window && toParameter(window)).toBe(text);
  });

  it.each(["", "lungs", "1", "1,2,3", "NaN,4", "1,-4", "<b>", "1e999,3"])("does not read %j", (text) => {
    expect(fromParameter(text)).toBeUndefined();
  });

  it("keeps windows finite and at least one unit wide", () => {
    expect(bounded(40, 0)).toEqual({ level: 40, width: 1 });
    expect(bounded(Number.NaN, 400)).toBeUndefined();
    expect(bounded(1e9, 1e9)).toEqual({ level: 100_000, width: 200_000 });
  });

  it("knows a preset by its numbers", () => {
    expect(presetOf({ level: -600, width: 1500 })?.name).toBe("lung");
    expect(presetOf({ level: -600, width: 1501 })).toBeUndefined();
  });
});
