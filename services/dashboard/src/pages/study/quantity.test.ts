import { describe, expect, it } from "vitest";

import { bytes, duration, milliseconds, quantity, unitText } from "./quantity";

describe("quantities", () => {
  it.each([
    [2603.77875, "mL", "2,604", "mL"],
    [39.71025, "mL", "39.7", "mL"],
    [-841.101, "[hnsf'U]", "-841", "HU"],
    [0.4567, "1", "0.46", ""],
    [12, "mm2", "12.0", "mm²"],
  ])("prints %d %s as %s %s", (number, ucum, text, unit) => {
    expect(quantity(number, ucum, "en")).toEqual({ number: text, unit });
  });

  it("prints numbers by the reader's language", () => {
    expect(quantity(2603.78, "mL", "pt-BR").number).toBe("2.604");
  });

  it("leaves units it does not know as they are", () => {
    expect(unitText("10*3/uL")).toBe("10*3/uL");
  });

  it.each([
    [0, "0 B"],
    [1023, "1,023 B"],
    [8226565, "7.8 MiB"],
    [160287n, "157 KiB"],
  ])("prints %s bytes as %s", (count, text) => {
    expect(bytes(count, "en")).toBe(text);
  });

  it.each([
    [-5, "0 ms"],
    [744.4, "744 ms"],
    [1721, "1.7 s"],
    [125_000, "2 min 5 s"],
    [3_720_000, "1 h 2 min"],
  ])("prints %d ms as %s", (ms, text) => {
    expect(duration(ms, "en")).toBe(text);
  });

  it("reads timestamps", () => {
    expect(milliseconds({ seconds: 1n, nanos: 500_000_000 })).toBe(1500);
    expect(milliseconds(undefined)).toBeUndefined();
  });
});
