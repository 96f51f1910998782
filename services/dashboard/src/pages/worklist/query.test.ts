import { expect, test } from "vitest";
import { isNarrowed, parseQuery, queryValues, sameQuery } from "./query";

test("an address survives being read and written", () => {
  const address = { text: "lima", state: "held", modality: "CT", from: "2026-01-01", to: "2026-02-01", order: "study_date" };

  expect(queryValues(parseQuery(new URLSearchParams(address)))).toEqual(address);
});

test("what nobody could have chosen counts as not chosen", () => {
  const query = parseQuery(new URLSearchParams("state=gone&modality=<b>&from=yesterday&order=random"));

  expect(isNarrowed(query)).toBe(false);
  expect(query.order).toBe("received");
});

test("a text is cut to what the archive takes", () => {
  expect(parseQuery(new URLSearchParams({ text: "x".repeat(500) })).text).toHaveLength(128);
});

test("the default order is the same query as none", () => {
  expect(sameQuery(parseQuery(new URLSearchParams("order=received")), parseQuery(new URLSearchParams()))).toBe(true);
});
