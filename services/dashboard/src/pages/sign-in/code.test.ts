import { expect, test } from "vitest";
import { placeAfter, takeCode } from "./code";

test("the code of a link leaves the address", () => {
  history.replaceState(null, "", "/sign-in?next=%2Fstatus#code=a.b.c");

  expect(takeCode()).toBe("a.b.c");
  expect(location.href).toMatch(/\/sign-in\?next=%2Fstatus$/);
});

test.each([
  ["/status", "/status"],
  ["/studies?state=held", "/studies?state=held"],
  ["//evil.example/x", "/studies"],
  ["https://evil.example/", "/studies"],
  ["javascript:alert(1)", "/studies"],
  ["/\\evil.example", "/studies"],
  ["/sign-in", "/studies"],
  ["", "/studies"],
])("after signing in %j leads to %j", (next, place) => {
  expect(placeAfter(new URLSearchParams({ next }))).toBe(place);
});
