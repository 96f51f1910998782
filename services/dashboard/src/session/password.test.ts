import { expect, test } from "vitest";
import { passwordFault } from "./password";

test.each([
  ["eleven char", "password.too-short"],
  ["twelve chars", null],
  ["😀".repeat(11), "password.too-short"],
  ["x".repeat(1025), "password.too-long"],
  ["é".repeat(513), "password.too-long"],
])("the rule for %j", (password, fault) => {
  expect(passwordFault(password)).toBe(fault);
});
