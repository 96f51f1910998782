import { describe, expect, it } from "vitest";

import { directions, fitsTexture, indexOfSlice, sliceOfIndex, sliceOrder, sliceWithin } from "./position";

describe("position", () => {
  it("names directions of the patient", () => {
    expect(directions([-12.5, 3, -1])).toEqual([
      { letter: "L", mm: 12.5 },
      { letter: "A", mm: 3 },
      { letter: "I", mm: 1 },
    ]);
  });

  it("keeps a slice within the volume", () => {
    expect([sliceWithin(0, 5), sliceWithin(9, 5), sliceWithin(3, 5)]).toEqual([1, 5, 3]);
    expect(sliceWithin(Number.NaN, 5)).toBeUndefined();
    expect(sliceWithin(1, 0)).toBeUndefined();
  });

  it("refuses volumes larger than a texture", () => {
    expect(fitsTexture([512, 512, 300], 2048)).toBe(true);
    expect(fitsTexture([512, 512, 2049], 2048)).toBe(false);
    expect(fitsTexture([], 2048)).toBe(false);
  });

  it("finds the axis that slices follow, and their direction", () => {
    expect(sliceOrder([-1.5, 0, 0, 191, 0, 1.5, 0, -191, 0, 0, 3, -178, 0, 0, 0, 1])).toEqual({ axis: 2, forward: true });
    expect(sliceOrder([1, 0, 0, 0, 0, 0.1, -2, 0, 0, 1, 0.2, 0, 0, 0, 0, 1])).toEqual({ axis: 1, forward: false });
    expect(sliceOrder([])).toEqual({ axis: 2, forward: true });
  });

  it("numbers slices as the array does", () => {
    const against = { axis: 2, forward: false } as const;

    expect(sliceOfIndex(0, 120, against)).toBe(120);
    expect(indexOfSlice(120, 120, against)).toBe(0);
    expect(sliceOfIndex(4, 120, { axis: 2, forward: true })).toBe(5);
  });
});
