import { expect, test } from "vitest";
import { dicomDate, dicomTime, personName, shortened, titleOf } from "./text";

test.each([
  ["DOE^JANE^ANN^DR", "DOE, JANE ANN"],
  ["DOE", "DOE"],
  ["^JANE", "JANE"],
  ["", ""],
  ["^^^^", ""],
  ["=山田^太郎=やまだ^たろう", "山田, 太郎"],
])("the name %j is read as %j", (value, text) => {
  expect(personName(value)).toBe(text);
});

test("a date that is none stays as it was sent", () => {
  expect(dicomDate("20260304")).toBe("2026-03-04");
  expect(dicomDate("2026.03.04")).toBe("2026-03-04");
  expect(dicomDate("march")).toBe("march");
});

test("a time is hours and minutes", () => {
  expect(dicomTime("131545.123")).toBe("13:15");
  expect(dicomTime("noon")).toBe("noon");
});

test("no code point is cut in two", () => {
  expect(shortened("ab😀", 3)).toBe("ab…");
});

test("a title has no direction controls and an end", () => {
  expect(titleOf("\u202Eabc\u2066")).toBe("abc");
  expect(titleOf("x".repeat(5000)).length).toBeLessThan(1002);
});
