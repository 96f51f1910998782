import { expect, test } from "vitest";
import { projectPath, seriesPath } from "../pages/deid/paths";
import { routeOf, studyPath } from "./routes";

test("a study's address leads back to the study", () => {
  const id = "0192f0c4-7d3a-7a51-8c1e-2f9b6d1c4e77";

  expect(routeOf(studyPath(id))).toEqual({ page: "study", studyId: id });
});

test("rooms of de-identification have addresses of their own", () => {
  const id = "0192f0c4-7d3a-7a51-8c1e-2f9b6d1c4e77";

  expect(routeOf("/deidentification/crosswalk")).toEqual({ page: "deid", room: "crosswalk" });
  expect(routeOf(projectPath(id))).toEqual({ page: "deid", room: "project", id });
  expect(routeOf(seriesPath(id))).toEqual({ page: "deid", room: "series", id });
  expect(routeOf("/deidentification/series/..").page).toBe("not-found");
});

test("an address nobody made is not found", () => {
  expect(routeOf("/studies/../etc").page).toBe("not-found");
  expect(routeOf("/studies/<script>").page).toBe("not-found");
});
