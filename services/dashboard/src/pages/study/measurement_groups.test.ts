import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";

import { MeasurementSchema } from "../../gen/heimdallr/imaging/v1/measurement_pb";
import { byStructure } from "./measurement_groups";

function measurement(name: string, displayName: string, structure: string, fact: string) {
  return create(MeasurementSchema, { name, displayName, structure, evidence: [{ name: "voxel_count", text: fact }] });
}

describe("measurements by structure", () => {
  const volume = measurement("lungs.volume", "Volume: Lungs", "lungs", "12");
  const mean = measurement("lungs.mean_hu", "Mean CT number: Lungs", "lungs", "12");

  it("tells the structure and the facts it shares once", () => {
    const [lungs] = byStructure([volume, mean], new Map([["lungs", "Lungs"]]));

    expect(lungs!.title).toBe("Lungs");
    expect(lungs!.rows.map((row) => row.title)).toEqual(["Volume", "Mean CT number"]);
    expect(lungs!.evidence.map((fact) => fact.text)).toEqual(["12"]);
    expect(lungs!.rows.flatMap((row) => row.evidence)).toEqual([]);
  });

  it("leaves facts with their measurement where they differ", () => {
    const other = measurement("lungs.mean_hu", "Mean CT number: Lungs", "lungs", "13");

    const [lungs] = byStructure([volume, other], new Map());

    expect(lungs!.evidence).toEqual([]);
    expect(lungs!.rows.map((row) => row.evidence[0]!.text)).toEqual(["12", "13"]);
  });

  it("finds the name of a structure that has no label in its measurements", () => {
    const [lungs] = byStructure([volume, mean], new Map());

    expect(lungs!.title).toBe("Lungs");
  });

  it("loses no measurement and no name", () => {
    const lone = measurement("heart.ctr", "Cardiothoracic ratio", "heart", "1");

    const groups = byStructure([volume, lone, mean], new Map());

    expect(groups.map((group) => [group.title, group.rows.length])).toEqual([["Lungs", 2], ["heart", 1]]);
    expect(groups[1]!.rows[0]!.title).toBe("Cardiothoracic ratio");
  });
});
