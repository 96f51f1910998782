import { describe, expect, it } from "vitest";

import { toQuery, viewOf } from "./view";

const LUNGS = { value: 1, structure: "lungs", displayName: "Lungs", color: "#56b4e9" };

describe("view in the address", () => {
  it("comes back as it was written", () => {
    const view = viewOf(new URLSearchParams("slice=61&window=lung&labels=only:lungs"), [LUNGS]);

    expect(view).toEqual({ slice: 61, window: { level: -600, width: 1500 }, labels: { only: "lungs" } });
    expect(toQuery(view)).toEqual({ slice: "61", window: "lung", labels: "only:lungs" });
  });

  it.each(["slice=0&window=x&labels=y", "slice=1.5", "slice=-3", ""])("leaves %j to the viewer", (query) => {
    expect(viewOf(new URLSearchParams(query), [LUNGS])).toEqual({ slice: undefined, window: undefined, labels: "all" });
  });
});
