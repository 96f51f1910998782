import { expect, test } from "vitest";
import { routeOf, studyPath } from "./routes";

test("a study's address leads back to the study", () => {
  const id = "0192f0c4-7d3a-7a51-8c1e-2f9b6d1c4e77";

  expect(routeOf(studyPath(id))).toEqual({ page: "study", studyId: id });
});

test("an address nobody made is not found", () => {
  expect(routeOf("/studies/../etc").page).toBe("not-found");
  expect(routeOf("/studies/<script>").page).toBe("not-found");
});
