// Measurements by the structure they belong to.

import type { Evidence, Measurement } from "../../gen/heimdallr/imaging/v1/measurement_pb";

/** What was measured of one structure. */
export interface MeasurementGroup {
  readonly structure: string;
  /** The structure, for people. */
  readonly title: string;
  readonly rows: readonly MeasurementRow[];
  /** Facts that hold for every row, told once; empty when the rows differ. */
  readonly evidence: readonly Evidence[];
}

/** One measurement under its structure. */
export interface MeasurementRow {
  readonly measurement: Measurement;
  /** What was measured, without the structure. */
  readonly title: string;
  /** Facts of this row alone; empty when the group tells them. */
  readonly evidence: readonly Evidence[];
}

/** Groups measurements by structure, in the order in which structures first come. */
export function byStructure(measurements: readonly Measurement[], names: ReadonlyMap<string, string>): readonly MeasurementGroup[] {
  const groups = new Map<string, Measurement[]>();
  for (const one of measurements) groups.set(one.structure, [...(groups.get(one.structure) ?? []), one]);
  return [...groups].map(([structure, members]) => group(structure, members, names.get(structure)));
}

function group(structure: string, members: readonly Measurement[], name: string | undefined): MeasurementGroup {
  const shared = members.length > 1 && new Set(members.map(evidenceKey)).size === 1;
  const title = name ?? commonSuffix(members) ?? structure;
  const rows = members.map((measurement) => ({
    measurement,
    title: withoutSuffix(measurement.displayName || measurement.name, title),
    evidence: shared ? [] : measurement.evidence,
  }));
  return { structure, title, rows, evidence: shared ? (members[0]?.evidence ?? []) : [] };
}

// "Volume: Lungs" and "Mean CT number: Lungs" both speak of "Lungs".
function commonSuffix(members: readonly Measurement[]): string | undefined {
  const suffixes = new Set(members.map(({ displayName }) => /: ([^:]+)$/.exec(displayName)?.[1]));
  return suffixes.size === 1 ? [...suffixes][0] : undefined;
}

function withoutSuffix(text: string, title: string): string {
  const suffix = `: ${title}`;
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}

function evidenceKey(measurement: Measurement): string {
  return JSON.stringify(measurement.evidence.map(({ name, text }) => [name, text]));
}
