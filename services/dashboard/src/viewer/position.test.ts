import { describe, expect, it } from "vitest";

import { directions, fitsTexture, sliceWithin, toMillimetres } from "./position";

describe("position", () => {
  it("applies the affine row by row", () => {
    const affine = [-0.7, 0, 0, 180, 0, 0.7, 0, -170, 0, 0, 2.5, -300, 0, 0, 0, 1];

    const point = toMillimetres(affine, [10, 20, 4])!;

    expect(point.map((mm) => Number(mm.toFixed(6)))).toEqual([173, -156, -290]);
  });

  it("gives no position without an affine", () => {
    expect(toMillimetres([], [0, 0, 0])).toBeUndefined();
    expect(toMillimetres(Array<number>(16).fill(Number.NaN), [0, 0, 0])).toBeUndefined();
  });

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
});
