import { expect, test } from "vitest";
import { makeStudy, studyId } from "../../testing/mesh";
import { mergeFirstPage, visibleRange } from "./rows";

const ids = (numbers: readonly number[]): string[] => numbers.map(studyId);
const studies = (numbers: readonly number[]) => numbers.map((n) => makeStudy(n));
const merged = (loaded: readonly number[], fresh: readonly number[]) => mergeFirstPage(studies(loaded), studies(fresh));

test("new studies come where the fresh page has them", () => {
  const { rows, added } = merged([5, 4, 3, 2], [7, 5, 6, 4]);

  expect(rows.map((study) => study.studyId)).toEqual(ids([7, 5, 6, 4, 3, 2]));
  expect(added).toEqual(ids([7, 6]));
});

test("a row that no longer matches keeps its place", () => {
  expect(merged([5, 4, 3], [5, 3]).rows.map((study) => study.studyId)).toEqual(ids([5, 4, 3]));
});

test("changed studies replace what was shown", () => {
  const changed = makeStudy(4, { instanceCount: 7 });

  expect(mergeFirstPage(studies([5, 4]), [makeStudy(5), changed]).rows[1]).toBe(changed);
});

test("no study is there twice", () => {
  const { rows } = merged([3, 2, 1], [4, 3, 2, 1]);

  expect(new Set(rows.map((study) => study.studyId)).size).toBe(rows.length);
});

test.each([
  ["the top", 0, { begin: 0, end: 15 }],
  ["the middle", 480, { begin: 5, end: 25 }],
  ["past the end", 100_000, { begin: 100, end: 100 }],
])("rows on screen at %s", (_name, top, range) => {
  expect(visibleRange(top, 480, 48, 100)).toEqual(range);
});
